using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>May the input and the output of each pair share one buffer? Every reader of the input, readers of its views
/// included, must have run before the node that writes the output; a writer that reads the input itself must work
/// element by element at equal shape.</summary>
internal static class InPlaceRule
{
    public static void Check(OnnxModel model, IReadOnlyList<(string Input, string Output)> pairs, Func<Node, bool>? writesInPlace = null)
    {
        IReadOnlyList<string> problems = Problems(model, pairs, writesInPlace);
        if (problems.Count > 0) throw new InvalidOperationException($"In-place rule violated: {string.Join("; ", problems.Take(5))}");
    }

    /// <summary>For graphs that are not ours; empty when all is well.</summary>
    /// <param name="model">The graph.</param>
    /// <param name="pairs">Inputs and outputs that are to share a buffer.</param>
    /// <param name="writesInPlace">Further nodes that read everything of an element before they write it.</param>
    public static IReadOnlyList<string> Problems(
        OnnxModel model, IReadOnlyList<(string Input, string Output)> pairs, Func<Node, bool>? writesInPlace = null)
    {
        // What runs when no kernel is registered: everything inlined.
        OnnxModel inlined = GraphCopier.Copy(model).Model;
        InlineFunctions.Run(inlined);
        OnnxGraph graph = inlined.Graph;
        Dictionary<Value, List<Node>> readers = graph.Readers();
        Dictionary<string, Value> inputs = graph.Inputs.ToDictionary(i => i.Name, StringComparer.Ordinal);
        Dictionary<string, Value> outputs = graph.Outputs.Distinct().ToDictionary(o => o.Name, StringComparer.Ordinal);
        var positions = new Dictionary<Node, int>();
        foreach (Node node in graph.Nodes) positions[node] = positions.Count;
        var problems = new List<string>();
        foreach ((string inputName, string outputName) in pairs)
        {
            Value input = inputs[inputName], output = outputs[outputName];
            if (output.Producer is not Node writer)
            {
                if (output != input) problems.Add($"'{outputName}' has no producer");
                continue;
            }
            (Node Reader, Value Through)[] uses = [.. ReadersOf(input, readers)];
            HashSet<Node> before = Ancestors(writer, uses.Select(u => positions[u.Reader]).DefaultIfEmpty(int.MaxValue).Min(), positions);
            foreach ((Node reader, Value through) in uses)
            {
                if (reader == writer)
                {
                    bool same = through == input && (writer.Has(Trait.InPlace) || writesInPlace?.Invoke(writer) == true);
                    if (!same) problems.Add($"{writer.Label} writes '{outputName}' and reads '{inputName}', but not element by element");
                }
                else if (!before.Contains(reader))
                {
                    problems.Add(
                        $"{reader.Label} reads '{inputName}' but may run after {writer.Label}, which overwrites it through '{outputName}'");
                }
            }
        }
        return problems;
    }

    private static IEnumerable<(Node, Value)> ReadersOf(Value input, Dictionary<Value, List<Node>> readers)
    {
        var work = new Stack<Value>([input]);
        var seen = new HashSet<Value>();
        while (work.TryPop(out Value? value))
        {
            if (!seen.Add(value) || !readers.TryGetValue(value, out List<Node>? list)) continue;
            foreach (Node reader in list)
            {
                yield return (reader, value);
                if (OperatorTraits.Has(reader.OpType, Trait.View) && reader.Inputs[0] == value && reader.Outputs[0] is Value view)
                    work.Push(view);
            }
        }
    }

    /// <summary>Nodes whose results the writer needs. They are in order, so nothing in front of the first one asked for
    /// has to be looked at.</summary>
    private static HashSet<Node> Ancestors(Node writer, int first, Dictionary<Node, int> positions)
    {
        var found = new HashSet<Node>();
        var work = new Stack<Node>([writer]);
        while (work.TryPop(out Node? node))
        {
            foreach (Value read in OnnxGraph.ReadBy(node))
            {
                if (read.Producer is Node producer && positions[producer] >= first && found.Add(producer)) work.Push(producer);
            }
        }
        return found;
    }
}
