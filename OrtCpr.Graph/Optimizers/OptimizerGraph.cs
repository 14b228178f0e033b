using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Graph.Optimizers;

/// <summary>A tensor that a graph reads and writes, kept from run to run.</summary>
/// <param name="Name">Graph input that reads it.</param>
/// <param name="Updated">Graph output that writes it; null when nothing does after the start.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dimensions">Shape.</param>
/// <param name="Initial">Value before the first run; null for zeros.</param>
public sealed record StateTensor(string Name, string? Updated, ElementType Type, IReadOnlyList<long> Dimensions, TensorData? Initial = null);

/// <summary>A running statistic that the optimizer graph commits: <paramref name="Name"/> takes the value of <paramref name="Pending"/> when a step is
/// applied, and gives it back when the step is skipped.</summary>
/// <param name="Name">The committed value.</param>
/// <param name="Pending">The value that the training graph updates; the same name where nothing is to be committed.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dimensions">Shape.</param>
public sealed record RunningStatistic(string Name, string Pending, ElementType Type, IReadOnlyList<long> Dimensions);

/// <summary>An optimizer as an ONNX graph (opset 18), with one node of domain <c>ortcpr</c> per parameter and its state as inputs and outputs.</summary>
/// <remarks>Runs on any stock ONNX Runtime: each node is a function of standard operators. Meant to be bound in place: every state tensor's input and
/// output to one buffer. Immutable; safe to share between threads.</remarks>
public sealed class OptimizerGraph
{
    private readonly OnnxModel _model;
    private readonly OnnxModel? _initialization;

    internal OptimizerGraph(OnnxModel model, OnnxModel? initialization)
    {
        _model = model;
        _initialization = initialization;
    }

    /// <summary>Name of the input with the learning rate of each group, [G].</summary>
    public const string LearningRateInput = "learning_rate";

    /// <summary>Name of the scalar input that multiplies every gradient (1/A with A accumulated micro-batches).</summary>
    public const string GradientScaleInput = "gradient_scale";

    /// <summary>Name of the input that says which parameters have a gradient in this step, bool [N].</summary>
    public const string GradientPresentInput = "gradient_present";

    /// <summary>Name of the output that says whether the step was applied, bool [1].</summary>
    public const string StepAppliedOutput = "step_applied";

    /// <summary>Name of the state that counts steps skipped since a gradient was not finite, int64 [1]; absent without the guard.</summary>
    public const string SkippedStepsState = "skipped_steps";

    /// <summary>Name of the output with the global L2 norm of the scaled gradients before clipping, [1]; absent without guard and clipping.</summary>
    public const string GradientNormOutput = "grad_norm";

    /// <summary>The parameters in the order of <c>step</c> and <c>gradient_present</c>.</summary>
    public required IReadOnlyList<ParameterSpec> Parameters { get; init; }

    /// <summary>Names of the constrained parameters in the order of <c>cpr.lambda</c>, <c>cpr.kappa</c> and <c>cpr.detector</c>.</summary>
    public required IReadOnlyList<string> Constrained { get; init; }

    /// <summary>The options it was built from.</summary>
    public required OptimizerOptions Options { get; init; }

    /// <summary>State beside the parameters: moments, step counts, λ, κ, detectors.</summary>
    public required IReadOnlyList<StateTensor> State { get; init; }

    /// <summary>Running statistics that it commits.</summary>
    public required IReadOnlyList<RunningStatistic> Statistics { get; init; }

    /// <summary>Inputs of one number a group that can be scheduled, with the values of the options; <c>learning_rate</c> is the first.</summary>
    public required IReadOnlyList<(string Name, IReadOnlyList<double> Values)> Schedulable { get; init; }

    /// <summary>Element type of the parameters and of all hyper-parameters: Float or Double.</summary>
    public required ElementType Type { get; init; }

    /// <summary>True when the graph computes the gradient norm.</summary>
    public bool HasGradientNorm => Options.NonFiniteGuard || Options.MaxGradientNorm > 0;

    /// <summary>True when a graph must be run once on the parameters before the first step (<see cref="InitializationToBytes"/>).</summary>
    public bool HasInitialization => _initialization is not null;

    /// <summary>The gradient input of a parameter.</summary>
    public static string GradientOf(string parameter) => $"{parameter}_grad";

    /// <summary>The output that carries the new value of a parameter or state tensor.</summary>
    public static string UpdatedOf(string name) => $"{name}.updated";

    /// <summary>The ONNX model.</summary>
    public byte[] ToBytes() => GraphWriter.ToBytes(_model);

    /// <summary>A model that maps initial parameters to the parameters and state that training starts from.</summary>
    /// <returns>Its bytes; empty when there is nothing to initialise.</returns>
    public byte[] InitializationToBytes() => _initialization is null ? [] : GraphWriter.ToBytes(_initialization);

    /// <summary>Writes the optimizer of given parameters as a graph.</summary>
    /// <param name="parameters">The parameters; names must be distinct, types all Float or all Double.</param>
    /// <param name="options">Rules by group and global settings.</param>
    /// <param name="statistics">Running statistics to commit with each applied step.</param>
    /// <exception cref="OptionException">An option is out of range, a group does not exist, or types are mixed.</exception>
    public static OptimizerGraph Build(IReadOnlyList<ParameterSpec> parameters, OptimizerOptions options, IReadOnlyList<RunningStatistic>? statistics = null) =>
        new OptimizerGraphBuilder(parameters, options, statistics ?? []).Build();

    internal OnnxModel Model => _model;

    // The same optimizer beside statistics that it has nothing to do with.
    internal OptimizerGraph Beside(IReadOnlyList<RunningStatistic> statistics) => new(_model, _initialization)
    {
        Parameters = Parameters,
        Constrained = Constrained,
        Options = Options,
        State = State,
        Statistics = statistics,
        Schedulable = Schedulable,
        Type = Type,
    };

    internal OnnxModel? Initialization => _initialization;
}
