using System.Text.Json.Serialization;

namespace OrtCpr.Graph;

/// <summary>What a tensor is to a training job.</summary>
internal enum TensorRole
{
    /// <summary>A trained parameter.</summary>
    Parameter,

    /// <summary>The gradient of a parameter, summed over the micro-batches of a step.</summary>
    Gradient,

    /// <summary>Optimizer state of a parameter's shape, such as <c>exp_avg</c>; <see cref="TensorSlot.Kind"/> names it.</summary>
    State,

    /// <summary>State with a row for each of some parameters: step counts, λ, κ, the detector; <see
    /// cref="TensorSlot.Kind"/> names it.</summary>
    Rows,

    /// <summary>State of the optimizer that belongs to no parameter, such as the count of skipped steps.</summary>
    Shared,

    /// <summary>A running statistic, or a parameter that is kept and not trained.</summary>
    Statistic,

    /// <summary>A running statistic as the last training step left it, until the optimizer step commits it.</summary>
    PendingStatistic,

    /// <summary>A number a group that the host sets before each step, such as the learning rate.</summary>
    GroupScalar,

    /// <summary>A number that multiplies all gradients.</summary>
    GradientScale,

    /// <summary>Which parameters have a gradient in this step.</summary>
    GradientPresent,

    /// <summary>Whether the last step was applied.</summary>
    StepApplied,

    /// <summary>Global norm of the gradients in the last step.</summary>
    GradientNorm,

    /// <summary>The loss of the last training step.</summary>
    Loss,

    /// <summary>By what the loss scale has multiplied the gradients that are in the buffers.</summary>
    GradientLossScale,

    /// <summary>What dropout masks are made of.</summary>
    DropoutKey,

    /// <summary>Whether a training step overwrites the gradients instead of adding to them.</summary>
    ResetFlag,

    /// <summary>What the loss of the first micro-batch divides by, and the sum of that over all micro-batches so far.</summary>
    LossWeight,

    /// <summary>Whether an accumulated gradient counts by what its loss divides by.</summary>
    WeighBatches,
}

/// <summary>A graph of a training job.</summary>
internal enum PlanGraph
{
    /// <summary>Batch and parameters to loss and gradients.</summary>
    Training,

    /// <summary>The same, with gradients added to those that are there.</summary>
    Accumulation,

    /// <summary>Batch and parameters to loss and model outputs, in inference form.</summary>
    Evaluation,

    /// <summary>One optimizer step.</summary>
    Optimizer,

    /// <summary>Run once before the first step; not every optimizer has it.</summary>
    Initialization,
}

/// <summary>Where a graph reads and writes a tensor.</summary>
/// <param name="Graph">The graph.</param>
/// <param name="Input">Name of the graph input that reads it; null when it is not read.</param>
/// <param name="Output">Name of the graph output that writes it; null when it is not written.</param>
internal sealed record TensorUse(PlanGraph Graph, string? Input, string? Output = null);

/// <summary>One tensor that lives as long as a training job: whose it is, what it is, which graphs read and write it.</summary>
/// <param name="Key">Its name to the user and in checkpoints, unique in the job: <c>w</c>, <c>w.exp_avg</c>, <c>cpr.lambda</c>.</param>
/// <param name="Role">What it is.</param>
/// <param name="Owner">The parameter or statistic that it belongs to; null when it belongs to none.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dimensions">Shape.</param>
internal sealed record TensorSlot(string Key, TensorRole Role, string? Owner, ElementType Type, IReadOnlyList<long> Dimensions)
{
    /// <summary>Which of its role: <c>exp_avg</c>, <c>lambda</c>, <c>weight_decay</c>; empty where the role says all.</summary>
    public string Kind { get; init; } = "";

    /// <summary>The parameters whose rows it holds, in order; empty where it has no rows.</summary>
    public IReadOnlyList<string> Rows { get; init; } = [];

    /// <summary>The graphs that read or write it. Names are those in the graphs, whatever was free there.</summary>
    public IReadOnlyList<TensorUse> Uses { get; init; } = [];

    /// <summary>Its value before the first step; null for zeros.</summary>
    [JsonIgnore]
    public TensorData? Initial { get; init; }

    /// <summary>Number of elements.</summary>
    [JsonIgnore]
    public long ElementCount => Dimensions.Aggregate(1L, (n, d) => n * d);

    /// <summary>True for a small tensor that the host writes before a run.</summary>
    [JsonIgnore]
    public bool IsHostInput => Role is TensorRole.GroupScalar or TensorRole.GradientScale or TensorRole.GradientPresent
        or TensorRole.DropoutKey or TensorRole.ResetFlag or TensorRole.WeighBatches;

    /// <summary>True for what a checkpoint holds.</summary>
    [JsonIgnore]
    public bool IsSaved => Role is TensorRole.Parameter or TensorRole.State or TensorRole.Rows or TensorRole.Shared
        or TensorRole.Statistic or TensorRole.PendingStatistic;

    /// <summary>How a graph uses it; null when it does not.</summary>
    public TensorUse? UseIn(PlanGraph graph) => Uses.FirstOrDefault(u => u.Graph == graph);
}
