using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Writes what an operator does in operators that have gradient rules. Returns one value an output of the
/// node; null for an output that the node does not have.</summary>
internal delegate Value?[] Decomposition(GraphBuilder g, Node node);

/// <summary>The table operator → decomposition, for operators that are compositions of others and gain nothing by a
/// rule of their own. A node is decomposed only where a gradient passes through it and no rule is registered for it;
/// everywhere else it stays the fast kernel that it is.</summary>
internal static class Decompositions
{
    private static readonly Dictionary<string, Decomposition> Table = BuildTable();

    public static IReadOnlyList<string> Operators => [.. Table.Keys.Order(StringComparer.Ordinal)];

    private static Dictionary<string, Decomposition> BuildTable()
    {
        var table = new Dictionary<string, Decomposition>(StringComparer.Ordinal);
        foreach (IReadOnlyDictionary<string, Decomposition> family in (IReadOnlyDictionary<string, Decomposition>[])
            [
                AttentionDecompositions.Table, ExpertDecompositions.Table, FusedDecompositions.Table, RecurrentDecompositions.Table,
                RotaryDecompositions.Table, SparseAttentionDecomposition.Table, StreamDecompositions.Table,
            ])
        {
            foreach ((string op, Decomposition decomposition) in family) table.Add(op, decomposition);
        }
        return table;
    }

    /// <summary>Decomposes those of the nodes that the table knows, in place. False when there was none.</summary>
    public static bool Run(OnnxGraph graph, ShapeInference known, IEnumerable<Node> nodes)
    {
        var found = nodes.Where(n => Table.ContainsKey(n.QualifiedType)).ToList();
        // One builder for all of them, so that they share constants.
        var builder = new GraphBuilder(graph, known, []);
        var pieces = new Dictionary<Node, IReadOnlyList<Node>>();
        foreach (Node node in found) pieces[node] = Piece(builder, node, Table[node.QualifiedType]);
        graph.Splice(pieces);
        return found.Count > 0;
    }

    /// <summary>Puts what a decomposition writes in the place of a node. The builder writes to a list of its
    /// own.</summary>
    internal static void Rewrite(GraphBuilder builder, Node node, Decomposition decomposition) =>
        builder.Graph.Splice(new Dictionary<Node, IReadOnlyList<Node>> { [node] = Piece(builder, node, decomposition) });

    /// <summary>What stands for a node; its outputs are the node's own.</summary>
    private static List<Node> Piece(GraphBuilder builder, Node node, Decomposition decomposition)
    {
        List<Node> written = builder.Emitted;
        builder.Scope = node.Name.Length > 0 ? node.Name : node.Outputs.First(o => o is not null)!.Name;
        Value?[] results = decomposition(builder, node);
        for (int i = 0; i < node.Outputs.Count; i++)
        {
            if (node.Outputs[i] is Value output) Adopt(builder, written, results[i]!, output);
        }
        List<Node> piece = [.. written];
        written.Clear();
        return piece;
    }

    /// <summary>The node that made a result makes the old output instead, which thereby keeps its name, its readers and
    /// its identity.</summary>
    private static void Adopt(GraphBuilder builder, List<Node> written, Value made, Value output)
    {
        // A result that stands for two outputs, or that is an input, needs a node of its own.
        if (made.Producer is not Node producer || !written.Contains(producer)) producer = (made = builder.Identity(made)).Producer!;
        producer.Outputs[producer.Outputs.IndexOf(made)] = output;
        output.Producer = producer;
        if (output.Type == ElementType.Undefined) output.Type = made.Type;
        output.Shape ??= made.Shape;
        foreach (Node node in written)
        {
            for (int i = 0; i < node.Inputs.Count; i++)
            {
                if (node.Inputs[i] == made) node.Inputs[i] = output;
            }
            foreach (OnnxGraph body in node.Subgraphs) body.ReplaceReaders(made, output);
        }
    }
}
