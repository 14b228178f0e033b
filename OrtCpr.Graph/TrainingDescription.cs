using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Graph;

// What the graphs of a training job do not say themselves; with it and the graphs a job is put together again without its model.
internal sealed record TrainingDescription
{
    public int FormatVersion { get; init; }

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

    public IReadOnlyList<StateDescription> State { get; init; } = [];

    public IReadOnlyList<RunningStatistic> Statistics { get; init; } = [];

    public IReadOnlyList<ScalarDescription> Scalars { get; init; } = [];

    public static TrainingDescription Of(TrainingGraphs graphs, int version) => new()
    {
        FormatVersion = version,
        LossOutput = graphs.LossOutput,
        BatchInputs = graphs.BatchInputs,
        ModelOutputs = graphs.ModelOutputs,
        Parameters = graphs.Parameters.All,
        DropoutSeed = graphs.DropoutSeed,
        Tied = graphs.Tied,
        ForwardNodes = graphs.NodeCounts.Forward,
        TotalNodes = graphs.NodeCounts.Total,
        Type = graphs.Optimizer.Type,
        Optimizer = graphs.Optimizer.Options,
        Trained = graphs.Optimizer.Parameters,
        Constrained = graphs.Optimizer.Constrained,
        State = [.. graphs.Optimizer.State.Select(s => new StateDescription(s.Name, s.Updated, s.Type, s.Dimensions))],
        Statistics = graphs.Optimizer.Statistics,
        Scalars = [.. graphs.Optimizer.Schedulable.Select(s => new ScalarDescription(s.Name, s.Values))],
    };

    // `tensor`: the saved value of a parameter or statistic.
    public TrainingGraphs ToGraphs(OnnxModel training, OnnxModel accumulation, OnnxModel evaluation, OnnxModel optimizer, ModelFile source, Func<string, TensorData> tensor)
    {
        // A file does not tell the types of inner values, and whether a kernel may stand in for a function depends on them.
        foreach (Node call in new[] { training, accumulation, evaluation, optimizer }.SelectMany(m => m.Graph.Nodes).Where(n => n.Domain == OptimizerGraphBuilder.Domain))
        {
            foreach (Value value in call.Outputs.Prepend(call.Inputs[0]).OfType<Value>().Where(v => v.Type == ElementType.Undefined)) value.Type = Type;
        }
        return ToGraphs(training, accumulation, evaluation, optimizer, source, Trained.ToDictionary(p => p.Name, p => tensor(p.Name), StringComparer.Ordinal),
            Statistics.ToDictionary(s => s.Name, s => tensor(s.Name), StringComparer.Ordinal));
    }

    private TrainingGraphs ToGraphs(OnnxModel training, OnnxModel accumulation, OnnxModel evaluation, OnnxModel optimizer, ModelFile source,
        IReadOnlyDictionary<string, TensorData> parameters, IReadOnlyDictionary<string, TensorData> statistics) => new(training, accumulation, evaluation, source)
        {
            LossOutput = LossOutput,
            DropoutSeed = DropoutSeed,
            Tied = Tied,
            BatchInputs = BatchInputs,
            ModelOutputs = ModelOutputs,
            Parameters = new ParameterTable(Parameters),
            InitialParameters = parameters,
            InitialStatistics = statistics,
            NodeCounts = (ForwardNodes, TotalNodes),
            Warnings = [],
            Optimizer = new OptimizerGraph(optimizer, initialization: null)
            {
                Parameters = Trained,
                Constrained = Constrained,
                Options = Optimizer,
                State = [.. State.Select(s => new StateTensor(s.Name, s.Updated, s.Type, s.Dimensions))],
                Statistics = Statistics,
                Schedulable = [.. Scalars.Select(s => (s.Name, s.Values))],
                Type = Type,
            },
        };
}

// A state tensor without its value, which is in the checkpoint.
internal sealed record StateDescription(string Name, string? Updated, ElementType Type, IReadOnlyList<long> Dimensions);

// An input of one number a group.
internal sealed record ScalarDescription(string Name, IReadOnlyList<double> Values);
