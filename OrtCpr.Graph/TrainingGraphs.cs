using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Graph;

/// <summary>An input that the caller feeds with each batch.</summary>
/// <param name="Name">Graph input.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dimensions">Shape as text per dimension: a number, a symbol (equal symbols mean equal sizes), or <c>?</c>; null when the rank is unknown.</param>
/// <param name="IsLabel">True for inputs that the loss added.</param>
public sealed record BatchInput(string Name, ElementType Type, IReadOnlyList<string>? Dimensions, bool IsLabel)
{
    /// <inheritdoc/>
    public override string ToString() => $"'{Name}' {Type}[{(Dimensions is null ? "…" : string.Join(',', Dimensions))}]";
}

/// <summary>The graphs that train a model, and what the driver must know of them. Made by <see cref="TrainingGraphBuilder"/>. Immutable.</summary>
/// <remarks>Names follow ONNX Runtime's training artifacts: gradient of p is <c>p_grad</c>, its buffer <c>p_grad.accumulation.buffer</c>, the reset flag
/// <c>lazy_reset_grad</c>.</remarks>
public sealed class TrainingGraphs
{
    private readonly OnnxModel? _evaluation;
    private readonly Func<ModelFile> _source;

    internal TrainingGraphs(OnnxModel training, OnnxModel accumulation, OnnxModel? evaluation, ModelFile source) : this(training, accumulation, evaluation, () => source)
    {
    }

    // `source`: called by an export.
    internal TrainingGraphs(OnnxModel training, OnnxModel accumulation, OnnxModel? evaluation, Func<ModelFile> source)
    {
        Training = training;
        Accumulation = accumulation;
        _evaluation = evaluation;
        _source = source;
    }

    /// <summary>Name of the flag input of the accumulation graph, bool [1]: overwrite the buffers instead of adding.</summary>
    public const string ResetInput = "lazy_reset_grad";

    /// <summary>Name of the input of training and accumulation graph that dropout masks are made of, int32 [2]; absent where nothing drops.</summary>
    public const string DropoutKeyInput = "ortcpr.dropout_key";

    /// <summary>Seed of the dropout masks; null where nothing drops.</summary>
    public long? DropoutSeed { get; init; }

    /// <summary>Name of the loss output in all graphs; a scalar.</summary>
    public required string LossOutput { get; init; }

    /// <summary>What a batch consists of: the model's inputs, then the loss's labels.</summary>
    public required IReadOnlyList<BatchInput> BatchInputs { get; init; }

    /// <summary>The model's own outputs, which the evaluation graph computes beside the loss.</summary>
    public required IReadOnlyList<string> ModelOutputs { get; init; }

    /// <summary>All floating initializers and what training does with them.</summary>
    public required ParameterTable Parameters { get; init; }

    /// <summary>Copies of trained parameters that are written with them at export; empty without <see cref="ParameterOptions.TieEqual"/>.</summary>
    public IReadOnlyList<TiedParameter> Tied { get; init; } = [];

    /// <summary>Values of the trained parameters before training, by name; Float, or Double in float64 models.</summary>
    public required IReadOnlyDictionary<string, TensorData> InitialParameters { get; init; }

    /// <summary>Values of the running statistics before training, by name.</summary>
    public required IReadOnlyDictionary<string, TensorData> InitialStatistics { get; init; }

    /// <summary>The optimizer graph.</summary>
    public required OptimizerGraph Optimizer { get; init; }

    /// <summary>Nodes of the training graph: forward with loss, and all.</summary>
    public required (int Forward, int Total) NodeCounts { get; init; }

    /// <summary>What the user should know, such as parameters that the loss does not reach.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    // The file that the model came from, for the export.
    internal ModelFile Source => _source();

    // Weights that were drawn since the file only describes them; empty when it holds its weights.
    internal IReadOnlyDictionary<string, TensorData> DrawnWeights { get; init; } = new Dictionary<string, TensorData>();

    internal OnnxModel Training { get; }

    internal OnnxModel Accumulation { get; }

    internal OnnxModel Evaluation => _evaluation ?? throw new OptionException("There is no evaluation model. Give the session an eval_model.onnx.");

    /// <summary>Batch and parameters → loss, gradients and updated running statistics.</summary>
    public byte[] TrainingToBytes() => GraphWriter.ToBytes(Training);

    /// <summary>The same with gradients added to buffers: <c>p_grad.accumulation.value</c> = reset ? gradient : buffer + gradient.</summary>
    public byte[] AccumulationToBytes() => GraphWriter.ToBytes(Accumulation);

    /// <summary>Batch, parameters and running statistics → loss and the model's outputs, in evaluation form.</summary>
    public byte[] EvaluationToBytes() => GraphWriter.ToBytes(Evaluation);

    /// <summary>The accumulation buffer of a parameter's gradient.</summary>
    public static string BufferOf(string parameter) => $"{OptimizerGraph.GradientOf(parameter)}.accumulation.buffer";

    /// <summary>The output that writes the accumulation buffer.</summary>
    public static string AccumulatedOf(string parameter) => $"{OptimizerGraph.GradientOf(parameter)}.accumulation.value";
}
