using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Building;

/// <summary>A training graph whose outputs tell of each of its tensors whether it holds NaN or an infinity, so that one
/// run finds the node from which they come.</summary>
internal sealed class FinitenessProbe
{
    /// <summary>Names of the two outputs: how many elements of each tensor are NaN, and how many are infinite.</summary>
    public const string NotNumbers = "not_numbers", Infinities = "infinities";

    private readonly Value[] _probed;
    private readonly string _loss;

    private FinitenessProbe(OnnxModel model, Value[] probed, string loss) => (Model, _probed, _loss) = (model, probed, loss);

    /// <summary>The graph; its inputs are those of the training graph.</summary>
    public OnnxModel Model { get; }

    /// <summary>Of a training graph, which stays as it is.</summary>
    /// <param name="training">The graph.</param>
    /// <param name="loss">Name of its loss.</param>
    public static FinitenessProbe Of(OnnxModel training, string loss)
    {
        OnnxModel model = GraphCopier.Copy(training).Model;
        OnnxGraph graph = model.Graph;
        Value[] probed = [.. graph.Inputs.Concat(graph.Initializers).Concat(graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>())
            .Where(v => v.Type is ElementType.Float or ElementType.Double)];
        var builder = new GraphBuilder(graph) { Scope = "finiteness" };
        Value nan = Counts("IsNaN"), infinite = Counts("IsInf");
        graph.Outputs.Clear();
        graph.Outputs.Add(builder.Named(nan, NotNumbers));
        graph.Outputs.Add(builder.Named(infinite, Infinities));
        GraphChecker.Check(model, "probe");
        return new FinitenessProbe(model, probed, loss);

        // A sum and no maximum: a tensor may be empty.
        Value Counts(string test) => GraphBuilder.Typed(builder.Concat(0, [.. probed.Select(v => (Value)builder.Reshape(
            builder.ReduceSum(builder.Cast(GraphBuilder.Typed(builder.Op(test, [v]), ElementType.Bool, v.Shape), ElementType.Float), false),
            1))]), ElementType.Float, Shape.Of(probed.Length));
    }

    /// <summary>Reads what a run of the graph gave.</summary>
    /// <param name="notNumbers">Output <see cref="NotNumbers"/>.</param>
    /// <param name="infinities">Output <see cref="Infinities"/>.</param>
    /// <param name="gradients">The output with the gradient of each parameter, by the parameter's name.</param>
    public FinitenessReport Read(double[] notNumbers, double[] infinities, IEnumerable<(string Parameter, string Output)> gradients)
    {
        var states = new Dictionary<Value, int>();
        var byName = new Dictionary<string, Value>(StringComparer.Ordinal);
        for (int i = 0; i < _probed.Length; i++)
        {
            states[_probed[i]] = notNumbers[i] > 0 ? 2 : infinities[i] > 0 ? 1 : 0;
            byName[_probed[i].Name] = _probed[i];
        }
        (string Parameter, string Output)[] bad = [.. gradients.Where(g => byName.TryGetValue(g.Output, out Value? v) && states[v] > 0)];
        Value? seed = byName.TryGetValue(_loss, out Value? loss) && states[loss] > 0 ? loss
            : bad.Length > 0 ? byName[bad[0].Output] : null;
        (string? first, string text) = seed is null ? (null, "") : Origin(seed, seed == loss);
        return new FinitenessReport(first, text, [.. bad.Select(g => g.Parameter)]);

        int State(Value value) => states.GetValueOrDefault(value);

        // Back along values of the same kind. NaN may begin with an infinity, of which a node makes it: both are told.
        (string?, string) Origin(Value value, bool isForward)
        {
            Value start = Walk(value);
            string where = isForward ? "" : " on the way back from the loss, which is finite itself";
            Value? infinite = State(start) == 2 && start.Producer is Node maker
                ? OnnxGraph.ReadBy(maker).FirstOrDefault(v => State(v) == 1) : null;
            if (infinite is null) return (NameOf(start), $"{Text(start)} gives {Kind(start)}{where}");
            Value before = Walk(infinite);
            return (NameOf(before), $"{Text(before)} gives {Kind(before)}, of which {Text(start)} makes NaN{where}");
        }

        Value Walk(Value value)
        {
            while (value.Producer is Node node && OnnxGraph.ReadBy(node).FirstOrDefault(v => State(v) >= State(value)) is Value next)
                value = next;
            return value;
        }

        string Kind(Value value) => State(value) == 2 ? "NaN" : "an infinity";
    }

    private static string NameOf(Value value) =>
        value.Producer is Node node && node.Name.Length > 0 ? node.Name : value.Name;

    private static string Text(Value value) => value.Producer is Node node
        ? $"node {node.Label}, which reads {string.Join(", ", OnnxGraph.ReadBy(node).Select(v => $"'{v.Name}'").Distinct().Take(5))},"
        : value.Data is null ? $"the input '{value.Name}'" : $"the constant '{value.Name}'";
}

/// <summary>Where numbers that are not finite come from.</summary>
/// <param name="First">Name of the first node or input that gives some; null where everything is finite.</param>
/// <param name="Text">The same with operator, kind and what becomes of it, as the beginning of a sentence.</param>
/// <param name="Parameters">Parameters whose gradients are not finite.</param>
internal sealed record FinitenessReport(string? First, string Text, IReadOnlyList<string> Parameters);
