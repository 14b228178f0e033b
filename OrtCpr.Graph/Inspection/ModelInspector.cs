using System.Diagnostics;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>How an operator of a model stands to differentiation.</summary>
internal enum OperatorSupport
{
    /// <summary>Has a gradient rule.</summary>
    Rule,
    /// <summary>Is written in operators that have one, where a gradient passes.</summary>
    Decomposed,
    /// <summary>Has no derivative by nature: integers, comparisons, steps.</summary>
    NoGradient,
    /// <summary>Has no rule: parameters in front of it cannot be trained through it.</summary>
    Missing,
}

/// <summary>An operator that a model uses.</summary>
/// <param name="Name"><c>Op</c> or <c>domain.Op</c>.</param>
/// <param name="Count">Nodes, functions inlined and old opsets raised.</param>
/// <param name="Support">Whether a gradient passes.</param>
internal sealed record OperatorUse(string Name, int Count, OperatorSupport Support);

/// <summary>What training a model takes, for one size of batch.</summary>
/// <param name="Parameters">Bytes of the trained parameters.</param>
/// <param name="State">Bytes of gradients and Adam's moments.</param>
/// <param name="Activations">Bytes of forward values that the backward pass reads; null where a size depends on data.</param>
internal sealed record MemoryEstimate(long Parameters, long State, long? Activations);

/// <summary>What a model is made of and whether it can be trained.</summary>
internal sealed record ModelReport
{
    /// <summary>Inputs as text: name, type, shape.</summary>
    public required IReadOnlyList<string> Inputs { get; init; }

    /// <summary>Outputs as text: name, type, shape.</summary>
    public required IReadOnlyList<string> Outputs { get; init; }

    /// <summary>Operators by name.</summary>
    public required IReadOnlyList<OperatorUse> Operators { get; init; }

    /// <summary>Floating initializers; null when the model cannot be trained (<see cref="Problem"/>).</summary>
    public required ParameterTable? Parameters { get; init; }

    /// <summary>Symbols in the shapes, with the sizes that the estimate takes.</summary>
    public required IReadOnlyDictionary<string, long> Sizes { get; init; }

    /// <summary>What training takes; null when the model cannot be trained.</summary>
    public required MemoryEstimate? Memory { get; init; }

    /// <summary>Nodes of the training graph: forward with the loss, and backward; null when the model cannot be trained.</summary>
    public required (int Forward, int Backward)? Nodes { get; init; }

    /// <summary>Time that building the training, evaluation and optimizer graphs took, without reading or drawing
    /// weights; null when the model cannot be trained.</summary>
    public required TimeSpan? BuildTime { get; init; }

    /// <summary>Broadcast sums that the training graph decides at run time, since shapes do not tell; 0 is best.</summary>
    public required int RunTimeReductions { get; init; }

    /// <summary>What the user should know before training; empty when the model cannot be trained.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>Why the model cannot be trained as it is, and the ways out; null when it can.</summary>
    public required string? Problem { get; init; }
}

/// <summary>Looks into a model before training.</summary>
/// <remarks>The loss is taken to be the mean of every floating output. Thread-safe.</remarks>
internal static class ModelInspector
{
    /// <summary>Reads and reports on a model file. Weights need not be there.</summary>
    /// <param name="path">Model file.</param>
    /// <param name="sizes">Sizes of symbolic dimensions for the memory estimate; those not given count as 1.</param>
    /// <param name="parameters">The user's word on parameters; null for the graph's own answer.</param>
    /// <exception cref="OrtCprException">The file cannot be read as a model.</exception>
    public static ModelReport Inspect(string path, IReadOnlyDictionary<string, long>? sizes = null, ParameterOptions? parameters = null)
    {
        ModelFile file = ModelFile.Load(path);
        IReadOnlyDictionary<string, TensorData> drawn = WeightInitialization.IsNeeded(file) ? WeightInitialization.Draw(file, 0)
            : new Dictionary<string, TensorData>();
        OnnxModel model = RegulariseModel.Run(file, drawn);
        InlineBranches.InferAndRun(model);
        OnnxGraph graph = model.Graph;
        var given = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (Dim dim in graph.Inputs.SelectMany(i => i.Shape ?? Shape.Scalar).Where(d => d.Known is null && d.Size is not null))
            given[dim.ToString()] = sizes?.GetValueOrDefault(dim.ToString()) is > 0 and long n ? n : 1;
        TrainingPlan? graphs = Build(file, graph, parameters, drawn, out string? problem, out TimeSpan time);
        // A batch that the build has freed counts as the size that it had, unless the user gives one.
        foreach ((Value input, BatchInput fed) in graph.Inputs.Zip(graphs?.BatchInputs ?? []))
        {
            for (int i = 0; i < (input.Shape?.Rank ?? 0); i++)
            {
                if (input.Shape![i].Known is long known && fed.Dimensions?[i] is string dim && dim != $"{known}")
                    given[dim] = sizes?.GetValueOrDefault(dim) is > 0 and long n ? n : known;
            }
        }
        return new ModelReport
        {
            Inputs = [.. graph.Inputs.Select(Describe)],
            Outputs = [.. graph.Outputs.Select(Describe)],
            Operators = [.. AllNodes(graph).GroupBy(n => n.QualifiedType).OrderBy(g => g.Key, StringComparer.Ordinal)
                .Select(g => new OperatorUse(g.Key, g.Count(), SupportOf(g.First())))],
            Parameters = graphs?.Parameters,
            Sizes = given,
            Memory = graphs is null ? null : Estimate(graphs, given),
            Nodes = graphs is null ? null : (graphs.NodeCounts.Forward, graphs.NodeCounts.Total - graphs.NodeCounts.Forward),
            BuildTime = graphs is null ? null : time,
            RunTimeReductions = graphs?.Training.Graph.Nodes.Count(n => n.Is("ReduceSum") && n.In(1) is { IsInitializer: false }) ?? 0,
            Warnings = graphs?.Warnings ?? [],
            Problem = problem,
        };
    }

    private static TrainingPlan? Build(ModelFile file, OnnxGraph graph, ParameterOptions? parameters,
        IReadOnlyDictionary<string, TensorData> drawn, out string? problem, out TimeSpan time)
    {
        problem = null;
        time = default;
        (Loss, double)[] terms = [.. graph.Outputs.Where(o => o.Type.IsFloating() && o.Shape is not null)
            .Select(o => ((Loss)new OutputLoss { Output = o.Name }, 1.0))];
        if (terms.Length == 0)
        {
            problem = "The model has no floating output of known rank, so there is nothing to take a loss of.";
            return null;
        }
        try
        {
            long start = Stopwatch.GetTimestamp();
            TrainingPlan graphs =
                TrainingGraphBuilder.Build(file, new TrainingOptions
                { Loss = new WeightedSumLoss([.. terms]), Parameters = parameters ?? new() }, drawn);
            time = Stopwatch.GetElapsedTime(start);
            return graphs;
        }
        catch (OrtCprException error)
        {
            problem = error.Message;
            return null;
        }
    }

    private static IEnumerable<Node> AllNodes(OnnxGraph graph) => graph.Nodes.SelectMany(n => n.Subgraphs.SelectMany(AllNodes).Prepend(n));

    private static string Describe(Value value) => $"{value.Name} {value.Type}{value.Shape?.ToString() ?? "[…]"}";

    private static OperatorSupport SupportOf(Node node)
    {
        GradientRules rules = GradientRules.Default;
        return rules.IsConstant(node) ? OperatorSupport.NoGradient
            : rules.Find(node) is not null ? OperatorSupport.Rule
            : Decompositions.Operators.Contains(node.QualifiedType) ? OperatorSupport.Decomposed
            : OperatorSupport.Missing;
    }

    private static MemoryEstimate Estimate(TrainingPlan graphs, IReadOnlyDictionary<string, long> sizes)
    {
        int bytes = graphs.Type.BitsPerElement() / 8;
        long parameters = graphs.Trained.Sum(p => p.ElementCount) * bytes;
        OnnxGraph graph = graphs.Training.Graph;
        var forward = new HashSet<Node>();
        var work = new Stack<Value>(graph.Outputs.Where(o => o.Name == graphs.LossOutput));
        while (work.TryPop(out Value? value))
        {
            if (value.Producer is not Node producer || !forward.Add(producer)) continue;
            foreach (Value read in OnnxGraph.ReadBy(producer)) work.Push(read);
        }
        long? activations = 0;
        foreach (Value kept in graph.Nodes.Where(n => !forward.Contains(n)).SelectMany(OnnxGraph.ReadBy)
            .Where(v => v.Producer is Node p && forward.Contains(p)).Distinct())
        {
            activations += kept.Shape?.ElementCount?.Evaluate(sizes) * kept.Type.BitsPerElement() / 8;
        }
        return new MemoryEstimate(parameters, 3 * parameters, activations);
    }
}
