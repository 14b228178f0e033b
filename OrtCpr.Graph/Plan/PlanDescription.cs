using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Graph;

/// <summary>What the graphs of a training job do not say themselves; with it and the graphs a job is put together again
/// without its model.</summary>
internal sealed record PlanDescription
{
    /// <summary>The version that is written.</summary>
    public const int Version = 2;

    public int FormatVersion { get; init; }

    public string LossOutput { get; init; } = "";

    public IReadOnlyList<LossTerm> LossTerms { get; init; } = [];

    public string? LossFigures { get; init; }

    public bool LossIsSum { get; init; }

    public bool LossTermsDivideDifferently { get; init; }

    public IReadOnlyList<BatchInput> BatchInputs { get; init; } = [];

    public IReadOnlyList<string> ModelOutputs { get; init; } = [];

    public IReadOnlyList<ParameterInfo> Parameters { get; init; } = [];

    public long? DropoutSeed { get; init; }

    public long InitialSteps { get; init; }

    public IReadOnlyList<TiedParameter> Tied { get; init; } = [];

    public string? FixedBatch { get; init; }

    public IReadOnlyDictionary<string, int> BatchAxes { get; init; } = new Dictionary<string, int>();

    public int ForwardNodes { get; init; }

    public int TotalNodes { get; init; }

    public ElementType Type { get; init; }

    public Precision Precision { get; init; }

    public OptimizerOptions Optimizer { get; init; } = new();

    public IReadOnlyList<ParameterSpec> Trained { get; init; } = [];

    public IReadOnlyList<TensorSlot> Slots { get; init; } = [];

    public static PlanDescription Of(TrainingPlan plan) => new()
    {
        FormatVersion = Version,
        LossOutput = plan.LossOutput,
        LossTerms = plan.LossTerms,
        LossFigures = plan.LossFigures,
        LossIsSum = plan.LossIsSum,
        LossTermsDivideDifferently = plan.LossTermsDivideDifferently,
        BatchInputs = plan.BatchInputs,
        ModelOutputs = plan.ModelOutputs,
        Parameters = plan.Parameters.All,
        DropoutSeed = plan.DropoutSeed,
        Tied = plan.Tied,
        FixedBatch = plan.FixedBatch,
        BatchAxes = plan.BatchAxes,
        ForwardNodes = plan.NodeCounts.Forward,
        TotalNodes = plan.NodeCounts.Total,
        Type = plan.Type,
        Precision = plan.Precision,
        Optimizer = plan.Optimizer,
        Trained = plan.Trained,
        // The initialisation graph has run: its results are in the checkpoint.
        Slots = [.. plan.Slots.Select(s => s with { Uses = [.. s.Uses.Where(u => u.Graph != PlanGraph.Initialization)] })],
    };

    /// <summary>Puts the plan together.</summary>
    /// <param name="models">The graphs.</param>
    /// <param name="source">The model, for the export.</param>
    /// <param name="tensor">The saved value of a parameter or statistic.</param>
    public TrainingPlan ToPlan(IReadOnlyDictionary<PlanGraph, OnnxModel> models, ModelFile source, Func<string, TensorData> tensor)
    {
        foreach (OnnxModel model in models.Values) StateTypes(model);
        Dictionary<string, TensorData> Values(TensorRole role) =>
            Slots.Where(s => s.Role == role).ToDictionary(s => s.Owner!, s => tensor(s.Key), StringComparer.Ordinal);
        return new TrainingPlan(Slots, () => source)
        {
            TrainingModel = models[PlanGraph.Training],
            AccumulationModel = models[PlanGraph.Accumulation],
            EvaluationModel = models[PlanGraph.Evaluation],
            OptimizerModel = models[PlanGraph.Optimizer],
            Trained = Trained,
            Optimizer = Optimizer,
            Type = Type,
            Precision = Precision,
            LossOutput = LossOutput,
            LossTerms = LossTerms,
            LossFigures = LossFigures,
            LossIsSum = LossIsSum,
            LossTermsDivideDifferently = LossTermsDivideDifferently,
            DropoutSeed = DropoutSeed,
            InitialSteps = InitialSteps,
            Tied = Tied,
            FixedBatch = FixedBatch,
            BatchAxes = BatchAxes ?? new Dictionary<string, int>(),
            BatchInputs = BatchInputs,
            ModelOutputs = ModelOutputs,
            Parameters = new ParameterTable(Parameters),
            InitialParameters = Values(TensorRole.Parameter),
            InitialStatistics = Values(TensorRole.Statistic),
            NodeCounts = (ForwardNodes, TotalNodes),
        };
    }

    /// <summary>A file does not tell the types of inner values, and whether a kernel may stand in for a function
    /// depends on them.</summary>
    private void StateTypes(OnnxModel model)
    {
        foreach (Node call in model.Graph.Nodes.Where(n => n.Domain == OperatorDefinition.Domain))
        {
            foreach (Value value in call.Outputs.Prepend(call.Inputs[0]).OfType<Value>().Where(v => v.Type == ElementType.Undefined))
                value.Type = Type;
        }
    }
}
