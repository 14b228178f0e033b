using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Sessions;

namespace OrtCpr;

// How graphs of the plan become sessions, and what a run that fails leaves behind.
public sealed partial class TrainingDriver
{
    /// <summary><c>bound</c>: the graph of the plan whose tensors are bound once; null where the caller runs without a
    /// binding. <c>trains</c>: in the precision of the job; what evaluates is float32.</summary>
    private BatchSessions NewSessions(OnnxModel graph, string name, PlanGraph? bound, bool trains) =>
        new(graph, name, Optimizer.Options, Optimizer.Device, bound is PlanGraph kind ? (session, binding) =>
            Bind(session, binding, kind) : null, trains ? Plan.Precision : Precision.Float32);

    /// <summary>Everything but the batch, once: parameters in, gradients and pending statistics in place. Outputs that
    /// the plan does not keep go to the host.</summary>
    private void Bind(GraphSession session, OrtIoBinding binding, PlanGraph graph)
    {
        session.Bind(binding, graph, Plan, Optimizer.Store);
        HashSet<string> kept = [.. Plan.Slots.SelectMany(s => s.Uses).Where(u => u.Graph == graph && u.Output is not null)
            .Select(u => u.Output!)];
        foreach (string output in session.Session.OutputNames.Where(o => !kept.Contains(o)))
        {
            if (output == Plan.LossFigures) binding.BindOutput(output, _figures!);
            else binding.BindOutputToDevice(output, Device.Host);
        }
    }

    /// <summary>Before the device is opened: it need not be there for its limits to be known.</summary>
    internal static void RefusePrecision(Precision precision, string? device)
    {
        device ??= new DriverOptions().Device;
        if (precision.LowType() is not ElementType low || DeviceCatalog.Problem(device) is not null) return;
        DeviceCapabilities capabilities = DeviceCatalog.CapabilitiesOf(device);
        if (capabilities.LowPrecision.ContainsKey(low)) return;
        throw new DeviceException($"The job trains in {nameof(Precision)}.{precision}, and OrtCpr does not know which operators the "
            + $"{capabilities.Name} provider of '{device}' has in that type. Use 'cuda' or 'cpu', or build the job with "
            + $"{nameof(TrainingOptions)}.{nameof(TrainingOptions.Precision)} = {Precision.Float32}.");
    }

    internal static void RefuseUnknownOutputs(IReadOnlyList<string> outputs, IReadOnlyList<string> known)
    {
        string[] unknown = [.. outputs.Where(o => !known.Contains(o)).Select(o => $"'{o}'")];
        if (unknown.Length > 0)
        {
            throw new DriverException(
                $"The model has no output {string.Join(", ", unknown)}; it has {string.Join(", ", known)}.");
        }
    }

    /// <summary>The tensor that the evaluation graph reads under a name.</summary>
    private string Evaluated(string input) =>
        (_evaluated ??= Plan.Slots.SelectMany(s => s.Uses.Where(u => u.Graph == PlanGraph.Evaluation && u.Input is not null)
        .Select(u => (u.Input, s.Key))).ToDictionary(u => u.Input!, u => u.Key, StringComparer.Ordinal))[input];

    /// <summary>A run whose results are the caller's, on the host.</summary>
    private IDisposableReadOnlyCollection<OrtValue> RunFree(BatchSessions sessions, Batch batch, string[] names, string what)
    {
        GraphSession session = sessions.For(batch).Session;
        string[] inputs = [.. session.Session.InputNames];
        OrtValue[] values = [.. inputs.Select(i => batch.Tensors.TryGetValue(i, out OrtValue? v) ? v : Optimizer.Store[Evaluated(i)])];
        try
        {
            return session.Session.Run(session.RunOptions, inputs, values, names);
        }
        catch (OnnxRuntimeException error)
        {
            throw Failed(what, error, batch);
        }
    }

    /// <summary>A run that fails may have written some gradients and pending statistics: they are not to be
    /// used.</summary>
    private void RunTraining(GraphSession session, OrtIoBinding binding, Batch batch)
    {
        try
        {
            session.Run(binding);
        }
        catch (OnnxRuntimeException error)
        {
            ForgetGradients();
            Optimizer.RestorePendingStatistics();
            throw Failed("training", error, batch);
        }
    }

    /// <summary>Where the graph would not stop at labels beyond the classes.</summary>
    private void RefuseLabels(Batch batch)
    {
        if (!Optimizer.Device.IsHost && LabelCheck.Problem(batch, Plan.LossTerms) is string problem)
            throw new DriverException($"The batch does not fit the loss. {problem}");
    }

    // Of the arena, and of cuDNN, cuBLAS and the driver.
    private static bool IsMemory(OnnxRuntimeException error) =>
        error.Message.Contains("Failed to allocate memory", StringComparison.Ordinal)
        || error.Message.Contains("out of memory", StringComparison.OrdinalIgnoreCase)
        || error.Message.Contains("bad_alloc", StringComparison.Ordinal);

    private DriverException Failed(string graph, OnnxRuntimeException error, Batch batch) => Failed(graph, error, batch, Plan);

    internal static DriverException Failed(string graph, OnnxRuntimeException error, Batch batch, TrainingPlan plan) =>
        IsMemory(error) ? new(
            $"There is no memory left for a batch of {batch.Rows} in the {graph} graph. Use smaller batches with gradient accumulation, or "
            + $"recompute blocks of the model in place of keeping them ({nameof(TrainingOptions)}.{nameof(TrainingOptions.Recompute)}). "
            + $"ONNX Runtime: {error.Message}", error)
        : new(
            $"ONNX Runtime stopped in the {graph} graph: {error.Message} Values of the batch may be out of range, such as an index beyond "
            + $"its table or a label beyond the classes. {LabelCheck.Problem(batch, plan.LossTerms)}".TrimEnd(), error);
}
