using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Heads;

/// <summary>Takes out of a file what stands behind a tensor, and what only that needed.</summary>
internal static class OldHead
{
    /// <summary>Removes outputs that depend on a value, then nodes, initializers and inputs that nothing reads any more. What nothing read
    /// before stays, if it does not read what goes.</summary>
    /// <param name="model">The file that the graph was read from.</param>
    /// <param name="graph">In order; not changed.</param>
    /// <param name="cut">The value.</param>
    /// <param name="kept">What is going to be read.</param>
    public static void Remove(ModelProto model, OnnxGraph graph, Value cut, Value[] kept)
    {
        HashSet<Value> behind = HeadPlace.Dependent(graph, cut);
        Value[] outputs = [.. graph.Outputs.Where(o => !behind.Contains(o))];
        HashSet<Node> before = Needed(graph, graph.Outputs), after = Needed(graph, outputs.Concat(kept));
        var gone = new HashSet<Node>();
        var lost = new HashSet<Value>();
        foreach (Node node in graph.Nodes.Where(n => !after.Contains(n)))
        {
            if (!before.Contains(node) && !OnnxGraph.ReadBy(node).Any(lost.Contains)) continue;
            gone.Add(node);
            lost.UnionWith(node.Outputs.OfType<Value>());
        }
        var read = graph.Nodes.Where(n => !gone.Contains(n)).SelectMany(OnnxGraph.ReadBy).Concat(outputs).Concat(kept).ToHashSet();
        lost.UnionWith(gone.SelectMany(OnnxGraph.ReadBy).Where(v => v.Producer is null && !read.Contains(v)));
        Remove(model, gone, [.. lost.Select(v => v.Name)], [.. behind.Select(v => v.Name)]);
    }

    /// <summary>Removes everything that does not stand behind a value: the value is then to become an input.</summary>
    /// <param name="model">The file that the graph was read from.</param>
    /// <param name="graph">In order; not changed.</param>
    /// <param name="cut">The value.</param>
    public static void KeepBehind(ModelProto model, OnnxGraph graph, Value cut)
    {
        HashSet<Value> behind = HeadPlace.Dependent(graph, cut);
        Value[] outputs = [.. graph.Outputs.Where(o => o != cut && behind.Contains(o))];
        HashSet<Node> needed = Needed(graph, outputs, cut);
        Node[] gone = [.. graph.Nodes.Where(n => !needed.Contains(n))];
        HashSet<Value> read = [.. needed.SelectMany(OnnxGraph.ReadBy)];
        Value[] lost = [.. gone.SelectMany(n => n.Outputs.OfType<Value>()),
            .. gone.SelectMany(OnnxGraph.ReadBy).Concat(graph.Inputs).Where(v => v.Producer is null && !read.Contains(v))];
        Remove(model, [.. gone], [.. lost.Select(v => v.Name)], [.. graph.Outputs.Except(outputs).Select(o => o.Name)]);
    }

    private static void Remove(ModelProto model, HashSet<Node> gone, HashSet<string> lost, HashSet<string> behind)
    {
        GraphProto graph = model.Graph;
        var messages = gone.Select(n => n.Origin!).ToHashSet(ReferenceEqualityComparer.Instance);
        Where(graph.Node, n => messages.Contains(n));
        Where(graph.Initializer, i => lost.Contains(i.Name));
        Where(graph.SparseInitializer, s => lost.Contains(s.Values?.Name ?? ""));
        Where(graph.Input, i => lost.Contains(i.Name));
        Where(graph.Output, o => behind.Contains(o.Name));
        Where(graph.ValueInfo, v => lost.Contains(v.Name));
        Where(graph.QuantizationAnnotation, q => lost.Contains(q.TensorName));
        foreach (TrainingInfoProto info in model.TrainingInfo)
        {
            Where(info.InitializationBinding, b => lost.Contains(b.Key));
            Where(info.UpdateBinding, b => lost.Contains(b.Key));
        }
    }

    private static void Where<T>(IList<T> list, Predicate<T> isGone)
    {
        for (int i = list.Count - 1; i >= 0; i--)
        {
            if (isGone(list[i])) list.RemoveAt(i);
        }
    }

    /// <summary>Nodes that results take, back to a value that is given.</summary>
    private static HashSet<Node> Needed(OnnxGraph graph, IEnumerable<Value> results, Value? given = null)
    {
        HashSet<Value> wanted = [.. results];
        var needed = new HashSet<Node>();
        for (int i = graph.Nodes.Count - 1; i >= 0; i--)
        {
            Node node = graph.Nodes[i];
            if (!node.Outputs.Any(o => o is not null && wanted.Contains(o))) continue;
            needed.Add(node);
            wanted.UnionWith(OnnxGraph.ReadBy(node).Where(v => v != given));
        }
        return needed;
    }
}
