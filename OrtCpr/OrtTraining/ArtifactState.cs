using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.OrtTraining;

namespace OrtCpr.OrtTraining;

/// <summary>What a driver holds, from and to a checkpoint of ONNX Runtime training. State that the format has no field
/// for rides in momentum tensors of other names.</summary>
internal static class ArtifactState
{
    private const string Prefix = "cpr_";

    /// <summary>The runtime's names of the two moments; everything else of ours keeps its name after a
    /// prefix.</summary>
    private static readonly Dictionary<string, string> Keys = new(StringComparer.Ordinal)
    { ["exp_avg"] = "momentum0", ["exp_avg_sq"] = "momentum1", ["momentum0"] = "momentum0", ["momentum1"] = "momentum1" };

    /// <summary>State that the checkpoint has not stays as it is at the start.</summary>
    public static void Restore(OptimizerDriver optimizer, OrtCheckpoint checkpoint)
    {
        if (checkpoint.Optimizer is not OrtOptimizerGroup group) return;
        optimizer.Steps = group.Step;
        if (optimizer.Plan.Find(TensorRole.Shared, null, LowerOptimizer.StepState) is TensorSlot steps)
            optimizer.Store.Write(steps.Key, TensorData.From<long>([group.Step], 1));
        var problems = new List<string>();
        var found = new Dictionary<string, TensorData>(StringComparer.Ordinal);
        Dictionary<string, OrtParameterState> states = group.States.ToDictionary(s => s.Parameter, StringComparer.Ordinal);
        foreach ((CheckpointTensor tensor, string parameter, string key) in Tensors(optimizer))
        {
            TensorData? saved = states.GetValueOrDefault(parameter)?.Momentums.FirstOrDefault(m => m.Name == key)?.Data;
            // Our optimizers count steps by parameter; a checkpoint of another optimizer has one number for all.
            // Without moments Adam starts anew.
            if (saved is null && key == $"{Prefix}step")
                saved = TensorData.From<long>([HasMoments(optimizer, parameter, states) ? group.Step : 0], 1);
            if (saved is null) continue;
            if (saved.Type != tensor.Type || !saved.Dimensions.SequenceEqual(tensor.Dimensions))
                problems.Add($"'{key}' of '{parameter}' is {saved} in the file, {tensor.Type}[{string.Join(',', tensor.Dimensions)}] here");
            else found[tensor.Name] = saved;
        }
        if (problems.Count > 0)
        {
            throw new CheckpointException(
                $"The optimizer state of the checkpoint does not fit the optimizer model: {string.Join("; ", problems)}. "
                + "Use the files of one folder.");
        }
        CheckpointTensor.Restore(optimizer, found);
    }

    private static bool HasMoments(OptimizerDriver optimizer, string parameter, Dictionary<string, OrtParameterState> states) =>
        optimizer.Plan.Find(TensorRole.State, parameter, "exp_avg_sq") is null
        || states.GetValueOrDefault(parameter)?.Momentums.Any(m => m.Name == "momentum1") == true;

    /// <summary>The checkpoint with the driver's values in place of its own, sorted as the runtime saves it.</summary>
    public static OrtCheckpoint Capture(OptimizerDriver optimizer, OrtCheckpoint checkpoint, float initialRate, bool includeOptimizer)
    {
        OrtTensor Now(OrtTensor t) => optimizer.Store.Contains(t.Name) ? t with { Data = optimizer.Store.Read(t.Name) } : t;
        checkpoint = checkpoint with
        { IsNominal = false, Trainable = [.. checkpoint.Trainable.Select(Now)], Frozen = [.. checkpoint.Frozen.Select(Now)] };
        if (!includeOptimizer) return (checkpoint with { Groups = [] }).Sorted();
        OrtOptimizerGroup? old = checkpoint.Optimizer;
        var states =
            (old?.States ?? []).ToDictionary(s => s.Parameter, s =>
                s.Momentums.ToDictionary(m => m.Name, StringComparer.Ordinal), StringComparer.Ordinal);
        foreach ((CheckpointTensor tensor, string parameter, string key) in Tensors(optimizer))
        {
            if (!states.TryGetValue(parameter, out Dictionary<string, OrtTensor>? momentums))
                states[parameter] = momentums = new(StringComparer.Ordinal);
            momentums[key] = new OrtTensor(key, TensorData.Create(tensor.Type, tensor.Dimensions, tensor.Bytes(optimizer.Store).ToArray()));
        }
        long step = optimizer.Plan.Find(TensorRole.Shared, null, LowerOptimizer.StepState) is TensorSlot steps
            ? (long)optimizer.Store.Number(steps.Key) : optimizer.Steps - optimizer.SkippedSteps;
        var group = new OrtOptimizerGroup(OrtCheckpoint.DefaultGroup, step, initialRate,
            [.. states.Select(s => new OrtParameterState(s.Key, [.. s.Value.Values]))]);
        return (checkpoint with { Groups = [.. checkpoint.Groups.Where(g => g.Name != OrtCheckpoint.DefaultGroup), group] }).Sorted();
    }

    /// <summary>State tensors of single parameters, with the keys that they have in a checkpoint.</summary>
    private static IEnumerable<(CheckpointTensor Tensor, string Parameter, string Key)> Tensors(OptimizerDriver optimizer) =>
        CheckpointTensor.All(optimizer)
        .Where(t => t.Owner is not null && (t.Row >= 0 || t.Slot.Role == TensorRole.State))
        .Select(t => (t, t.Owner!, Keys.GetValueOrDefault(t.Slot.Kind, Prefix + t.Slot.Kind)));
}
