using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Graph;

/// <summary>The description as versions before the table of tensors wrote it: names of graph inputs and outputs
/// followed from those of tensors.</summary>
internal sealed record PlanDescriptionOfVersion1
{
    /// <summary>The number in the file.</summary>
    public const int Version = 1;

    public string LossOutput { get; init; } = "";

    public IReadOnlyList<BatchInput> BatchInputs { get; init; } = [];

    public IReadOnlyList<string> ModelOutputs { get; init; } = [];

    public IReadOnlyList<ParameterInfo> Parameters { get; init; } = [];

    public long? DropoutSeed { get; init; }

    public IReadOnlyList<TiedParameter> Tied { get; init; } = [];

    public int ForwardNodes { get; init; }

    public int TotalNodes { get; init; }

    public ElementType Type { get; init; }

    public OptimizerOptions Optimizer { get; init; } = new();

    public IReadOnlyList<ParameterSpec> Trained { get; init; } = [];

    public IReadOnlyList<string> Constrained { get; init; } = [];

    public IReadOnlyList<OldState> State { get; init; } = [];

    public IReadOnlyList<OldStatistic> Statistics { get; init; } = [];

    public IReadOnlyList<OldScalar> Scalars { get; init; } = [];

    /// <summary>A state tensor.</summary>
    internal sealed record OldState(string Name, string? Updated, ElementType Type, IReadOnlyList<long> Dimensions);

    /// <summary>A running statistic.</summary>
    internal sealed record OldStatistic(string Name, string Pending, ElementType Type, IReadOnlyList<long> Dimensions);

    /// <summary>A number a group.</summary>
    internal sealed record OldScalar(string Name, IReadOnlyList<double> Values);

    /// <summary>The same as a table of tensors.</summary>
    /// <param name="optimizerOutputs">Outputs of the optimizer graph, which has guard and norm or not.</param>
    /// <param name="evaluationInputs">Inputs of the evaluation graph.</param>
    public PlanDescription ToCurrent(IReadOnlySet<string> optimizerOutputs, IReadOnlySet<string> evaluationInputs) => new()
    {
        FormatVersion = PlanDescription.Version,
        LossOutput = LossOutput,
        BatchInputs = BatchInputs,
        ModelOutputs = ModelOutputs,
        Parameters = Parameters,
        DropoutSeed = DropoutSeed,
        Tied = Tied,
        ForwardNodes = ForwardNodes,
        TotalNodes = TotalNodes,
        Type = Type,
        Optimizer = Optimizer,
        Trained = Trained,
        Slots = [.. ParameterSlots(), .. StateSlots(), .. StatisticSlots(evaluationInputs), .. HostSlots(),
            .. ResultSlots(optimizerOutputs)],
    };

    private IEnumerable<TensorSlot> ParameterSlots()
    {
        foreach (ParameterSpec p in Trained)
        {
            string gradient = $"{p.Name}_grad";
            yield return Slot(p.Name, TensorRole.Parameter, p.Name, p.Type, p.Dimensions,
                new(PlanGraph.Optimizer, p.Name, $"{p.Name}.updated"),
                new(PlanGraph.Training, p.Name), new(PlanGraph.Accumulation, p.Name), new(PlanGraph.Evaluation, p.Name));
            yield return Slot(gradient, TensorRole.Gradient, p.Name, p.Type, p.Dimensions, new(PlanGraph.Optimizer, gradient),
                new(PlanGraph.Training, null, gradient),
                new(PlanGraph.Accumulation, $"{gradient}.accumulation.buffer", $"{gradient}.accumulation.value"));
        }
    }

    private IEnumerable<TensorSlot> StateSlots()
    {
        foreach (OldState s in State)
        {
            (IReadOnlyList<string> rows, string kind) = s.Name switch
            {
                "step" => ([.. Trained.Select(p => p.Name)], "step"),
                "cpr.lambda" or "cpr.kappa" or "cpr.detector" => (Constrained, s.Name["cpr.".Length..]),
                _ => ((IReadOnlyList<string>)[], ""),
            };
            var use = new TensorUse(PlanGraph.Optimizer, s.Name, s.Updated);
            // The longest name that fits: 'w.exp_avg' may be the state of 'w' or of a parameter 'w' in a scope.
            string? owner = rows.Count > 0 ? null
                : Trained.Select(p => p.Name).Where(n => s.Name.StartsWith($"{n}.", StringComparison.Ordinal)).MaxBy(n => n.Length);
            TensorRole role = rows.Count > 0 ? TensorRole.Rows : owner is null ? TensorRole.Shared : TensorRole.State;
            if (owner is not null) kind = s.Name[(owner.Length + 1)..];
            else if (rows.Count == 0) kind = s.Name;
            yield return Slot(s.Name, role, owner, s.Type, s.Dimensions, use) with { Kind = kind, Rows = rows };
        }
    }

    private IEnumerable<TensorSlot> StatisticSlots(IReadOnlySet<string> evaluationInputs)
    {
        foreach (OldStatistic s in Statistics)
        {
            TensorUse[] evaluation = evaluationInputs.Contains(s.Name) ? [new(PlanGraph.Evaluation, s.Name)] : [];
            yield return Slot(s.Name, TensorRole.Statistic, s.Name, s.Type, s.Dimensions,
                [new(PlanGraph.Optimizer, s.Name, $"{s.Name}.updated"), .. evaluation]);
            yield return Slot(s.Pending, TensorRole.PendingStatistic, s.Name, s.Type, s.Dimensions,
                new(PlanGraph.Optimizer, s.Pending, $"{s.Pending}.updated"),
                new(PlanGraph.Training, s.Pending, $"{s.Pending}.updated"), new(PlanGraph.Accumulation, s.Pending, $"{s.Pending}.updated"));
        }
    }

    private IEnumerable<TensorSlot> HostSlots()
    {
        foreach (OldScalar s in Scalars)
        {
            yield return Slot(s.Name, TensorRole.GroupScalar, null, Type, [s.Values.Count], new TensorUse(PlanGraph.Optimizer, s.Name)) with
            { Kind = s.Name };
        }
        yield return Slot("gradient_scale", TensorRole.GradientScale, null, Type, [], new TensorUse(PlanGraph.Optimizer, "gradient_scale"));
        yield return Slot("gradient_present", TensorRole.GradientPresent, null, ElementType.Bool, [Trained.Count],
            new TensorUse(PlanGraph.Optimizer, "gradient_present"));
        yield return Slot("lazy_reset_grad", TensorRole.ResetFlag, null, ElementType.Bool, [1],
            new TensorUse(PlanGraph.Accumulation, "lazy_reset_grad"));
        if (DropoutSeed is null) yield break;
        const string key = "ortcpr.dropout_key";
        yield return Slot(key, TensorRole.DropoutKey, null, ElementType.Int32, [2], new(PlanGraph.Training, key),
            new(PlanGraph.Accumulation, key));
    }

    private IEnumerable<TensorSlot> ResultSlots(IReadOnlySet<string> optimizerOutputs)
    {
        yield return Slot(LossOutput, TensorRole.Loss, null, Type, [], new(PlanGraph.Training, null, LossOutput),
            new(PlanGraph.Accumulation, null, LossOutput));
        yield return Slot("step_applied", TensorRole.StepApplied, null, ElementType.Bool, [1],
            new TensorUse(PlanGraph.Optimizer, null, "step_applied"));
        if (optimizerOutputs.Contains("grad_norm"))
            yield return Slot("grad_norm", TensorRole.GradientNorm, null, Type, [1], new TensorUse(PlanGraph.Optimizer, null, "grad_norm"));
    }

    private static TensorSlot Slot(string key, TensorRole role, string? owner, ElementType type, IReadOnlyList<long> dimensions,
        params IReadOnlyList<TensorUse> uses) =>
        new(key, role, owner, type, dimensions) { Uses = uses };
}
