using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Graph;

/// <summary>A training job as one table: its graphs, and every tensor that lives from step to step with who reads and writes it.</summary>
/// <remarks>Made by <see cref="TrainingGraphBuilder"/>; a plan of the optimizer alone by <see cref="ForOptimizer"/>.
/// Immutable; safe to share between threads.</remarks>
public sealed class TrainingPlan
{
    private readonly Dictionary<string, TensorSlot> _byKey;
    private readonly Dictionary<(TensorRole, string?, string), TensorSlot> _byRole;
    private readonly Func<ModelFile>? _source;
    private readonly ILookup<string, TensorSlot> _byOwner;
    private Dictionary<string, OperatorDefinition>? _operators;
    private Dictionary<string, ParameterSpec>? _specs;

    internal TrainingPlan(IReadOnlyList<TensorSlot> slots, Func<ModelFile>? source = null)
    {
        Slots = slots;
        _source = source;
        _byKey = slots.ToDictionary(s => s.Key, StringComparer.Ordinal);
        _byRole = slots.ToDictionary(s => (s.Role, s.Owner, s.Kind));
        _byOwner = slots.Where(s => s.Owner is not null).ToLookup(s => s.Owner!, StringComparer.Ordinal);
    }

    /// <summary>Every tensor of the job.</summary>
    internal IReadOnlyList<TensorSlot> Slots { get; }

    /// <summary>The trained parameters, in the order of per-parameter rows.</summary>
    public required IReadOnlyList<ParameterSpec> Trained { get; init; }

    /// <summary>Names of the constrained parameters, in the order of the rows of λ, κ and the detector.</summary>
    public IReadOnlyList<string> Constrained => Find(TensorRole.Rows, null, "lambda")?.Rows ?? [];

    /// <summary>The optimizer, with all defaults written out.</summary>
    public required OptimizerOptions Optimizer { get; init; }

    /// <summary>Element type of the parameters and of all hyper-parameters: Float or Double.</summary>
    public required ElementType Type { get; init; }

    /// <summary>In which numbers the training graphs run. The graphs themselves are written in float32; a session lowers its own copy, as
    /// it adapts it to the device.</summary>
    public Precision Precision { get; init; }

    /// <summary>Name of the loss output in all graphs; a scalar. Empty in a plan of the optimizer alone.</summary>
    public string LossOutput { get; init; } = "";

    /// <summary>The losses that the loss is the sum of, or the only one. Empty for artifacts that others have made.</summary>
    internal IReadOnlyList<LossTerm> LossTerms { get; init; } = [];

    /// <summary>The output of the training graphs and the evaluation graph with the value of each term, then what each divides by; null for
    /// artifacts that others have made.</summary>
    internal string? LossFigures { get; init; }

    /// <summary>True where the loss divides by nothing, so that the loss of several batches is the sum of theirs.</summary>
    internal bool LossIsSum { get; init; }

    /// <summary>True where the loss is a sum of losses whose weights of a batch differ.</summary>
    internal bool LossTermsDivideDifferently { get; init; }

    /// <summary>What a batch counts in a mean over batches: what its loss divides by, where that is one number; else its rows.</summary>
    /// <param name="figures">The terms' values, then what each divides by.</param>
    /// <param name="rows">First dimension of the batch.</param>
    internal double WeightOfBatch(IReadOnlyList<double> figures, long rows) =>
        LossTerms is [{ IsSum: false }] ? figures[1] : rows;

    /// <summary>What a batch consists of: the model's inputs, then the loss's labels.</summary>
    public IReadOnlyList<BatchInput> BatchInputs { get; init; } = [];

    /// <summary>The model's own outputs, which the evaluation graph computes beside the loss.</summary>
    public IReadOnlyList<string> ModelOutputs { get; init; } = [];

    /// <summary>All floating initializers and what training does with them.</summary>
    public ParameterTable Parameters { get; init; } = new([]);

    /// <summary>Copies of trained parameters that are written with them at export; empty without <see
    /// cref="ParameterOptions.TieEqual"/>.</summary>
    internal IReadOnlyList<TiedParameter> Tied { get; init; } = [];

    /// <summary>Values of the trained parameters before training, by name; Float, or Double in float64 models.</summary>
    public IReadOnlyDictionary<string, TensorData> InitialParameters { get; init; } = new Dictionary<string, TensorData>();

    /// <summary>Values of the running statistics before training, by name.</summary>
    public IReadOnlyDictionary<string, TensorData> InitialStatistics { get; init; } = new Dictionary<string, TensorData>();

    /// <summary>What the user should know, such as parameters that the loss does not reach.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Why the batch stays at the size that the model was exported with; null where it is free.</summary>
    internal string? FixedBatch { get; init; }

    /// <summary>The user's word on where inputs have the batch.</summary>
    internal IReadOnlyDictionary<string, int> BatchAxes { get; init; } = new Dictionary<string, int>();

    /// <summary>Nodes of the training graph: forward with loss, and all.</summary>
    internal (int Forward, int Total) NodeCounts { get; init; }

    /// <summary>Seed of the dropout masks; null where nothing drops.</summary>
    internal long? DropoutSeed { get; init; }

    /// <summary>Optimizer steps that the initial values have behind them.</summary>
    internal long InitialSteps { get; init; }

    /// <summary>Weights that were drawn since the file only describes them; empty when it holds its weights.</summary>
    internal IReadOnlyDictionary<string, TensorData> DrawnWeights { get; init; } = new Dictionary<string, TensorData>();

    internal OnnxModel? TrainingModel { get; init; }

    internal OnnxModel? AccumulationModel { get; init; }

    internal OnnxModel? EvaluationModel { get; init; }

    internal OnnxModel OptimizerModel { get; init; } = null!;

    internal OnnxModel? InitializationModel { get; init; }

    /// <summary>Whether the training graph exchanges sums with other ranks, so that all have to run it together.</summary>
    internal bool SumsOverRanks => TrainingModel?.Graph.Nodes.Any(n => n.Domain == OperatorDefinition.Domain
        && n.OpType == SumOverRanks.Definition.Name) == true;

    /// <summary>The file that the model came from, for the export.</summary>
    internal ModelFile Source => _source?.Invoke() ?? throw new OptionException("This plan has an optimizer and no model to export.");

    internal OnnxModel Training => TrainingModel ?? throw new OptionException("This plan has an optimizer and no training graph.");

    internal OnnxModel Accumulation => AccumulationModel ?? throw new OptionException("This plan has an optimizer and no training graph.");

    internal OnnxModel Evaluation =>
        EvaluationModel ?? throw new OptionException("There is no evaluation model. Give the session an eval_model.onnx.");

    /// <summary>The operators of ours that the graphs call, by name.</summary>
    internal IReadOnlyDictionary<string, OperatorDefinition> Operators => _operators ??= OperatorTable.All
        .Concat(UpdateDefinition.All(Optimizer, Trained).Values).ToDictionary(d => d.Name, StringComparer.Ordinal);

    /// <summary>True when the optimizer computes the gradient norm.</summary>
    public bool HasGradientNorm => Find(TensorRole.GradientNorm) is not null;

    /// <summary>True when a graph must be run once on the parameters before the first step (<see cref="InitializationToBytes"/>).</summary>
    public bool HasInitialization => InitializationModel is not null;

    /// <summary>The plan of an optimizer of given parameters, without a model.</summary>
    /// <param name="parameters">The parameters; names must be distinct, types all Float or all Double.</param>
    /// <param name="options">Rules by group and global settings.</param>
    /// <exception cref="OptionException">An option is out of range, a group does not exist, or types are mixed.</exception>
    public static TrainingPlan ForOptimizer(IReadOnlyList<ParameterSpec> parameters, OptimizerOptions options)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(options);
        var slots = new PlanSlots(parameters.Select(p => p.Name));
        OptimizerGraph graph = new OptimizerGraphBuilder(parameters, options, [], slots).Build();
        return new TrainingPlan(slots.All)
        {
            Trained = parameters,
            Optimizer = graph.Options,
            Type = graph.Type,
            OptimizerModel = graph.Model,
            InitializationModel = graph.Initialization,
        };
    }

    /// <summary>The tensor of a key; null when there is none.</summary>
    internal TensorSlot? Find(string key) => _byKey.GetValueOrDefault(key);

    /// <summary>The tensor of a role, an owner and a kind; null when there is none.</summary>
    /// <param name="role">What it is.</param>
    /// <param name="owner">Whose it is; null for what belongs to no parameter.</param>
    /// <param name="kind">Which of its role.</param>
    internal TensorSlot? Find(TensorRole role, string? owner = null, string kind = "") => _byRole.GetValueOrDefault((role, owner, kind));

    /// <summary>The tensors of a parameter or statistic.</summary>
    internal IEnumerable<TensorSlot> OwnedBy(string owner) => _byOwner[owner];

    /// <summary>A trained parameter by name.</summary>
    internal ParameterSpec SpecOf(string parameter) =>
        (_specs ??= Trained.ToDictionary(p => p.Name, StringComparer.Ordinal))[parameter];

    /// <summary>The update operator of a parameter.</summary>
    internal UpdateDefinition DefinitionOf(ParameterSpec parameter) => UpdateDefinition.Of(Optimizer.Groups[parameter.Group], parameter);

    /// <summary>Batch and parameters → loss, gradients and updated running statistics.</summary>
    public byte[] TrainingToBytes() => GraphWriter.ToBytes(Training);

    /// <summary>The same with gradients added to those that are there.</summary>
    public byte[] AccumulationToBytes() => GraphWriter.ToBytes(Accumulation);

    /// <summary>Batch, parameters and running statistics → loss and the model's outputs, in evaluation form.</summary>
    public byte[] EvaluationToBytes() => GraphWriter.ToBytes(Evaluation);

    /// <summary>One optimizer step: one node of domain <c>ortcpr</c> a parameter, each a function of standard operators
    /// (opset 18).</summary>
    public byte[] OptimizerToBytes() => GraphWriter.ToBytes(OptimizerModel);

    /// <summary>A model that maps initial parameters to the parameters and state that training starts from.</summary>
    /// <returns>Its bytes; empty when there is nothing to initialise.</returns>
    public byte[] InitializationToBytes() => InitializationModel is null ? [] : GraphWriter.ToBytes(InitializationModel);

    /// <summary>The graph of a kind; null where the plan has none.</summary>
    internal OnnxModel? ModelOf(PlanGraph graph) => graph switch
    {
        PlanGraph.Training => TrainingModel,
        PlanGraph.Accumulation => AccumulationModel,
        PlanGraph.Evaluation => EvaluationModel,
        PlanGraph.Optimizer => OptimizerModel,
        _ => InitializationModel,
    };
}
