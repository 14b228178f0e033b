namespace OrtCpr.Graph.Ir;

/// <summary>A graph: inputs, initializers, nodes in topological order, outputs. A subgraph of a control-flow node may read values of
/// the graphs around it.</summary>
internal sealed class OnnxGraph
{
    internal OnnxGraph(string name, NameAuthority names)
    {
        Name = name;
        Names = names;
    }

    /// <summary>Graph name.</summary>
    public string Name { get; internal set; }

    /// <summary>Inputs in order.</summary>
    public GraphList<Value> Inputs { get; } = new();

    /// <summary>Outputs in order. A list, since passes remove many at once.</summary>
    internal List<Value> Outputs { get; } = [];

    /// <summary>Initializers, in file order. A list, since passes remove many at once.</summary>
    internal List<Value> Initializers { get; } = [];

    /// <summary>A list, since passes insert and sort.</summary>
    internal List<Node> Nodes { get; } = [];

    internal NameAuthority Names { get; }

    /// <summary>The message it was read from (doc string, metadata, quantisation annotations, sparse initializers,
    /// unknown fields), or null.</summary>
    internal object? Origin { get; set; }

    internal Value AddInput(string name, ElementType type, Shape? shape)
    {
        var value = new Value(Names.Unique(name), type, shape);
        Inputs.Add(value);
        return value;
    }

    internal Value AddInitializer(string name, TensorData data)
    {
        var value = new Value(Names.Unique(name), data.Type, Shape.Of(data.Dimensions)) { Data = data };
        Initializers.Add(value);
        return value;
    }

    /// <summary>Its nodes and those of their bodies.</summary>
    internal IEnumerable<Node> NodesAndInner() => Nodes.SelectMany(n => n.Subgraphs.SelectMany(b => b.NodesAndInner()).Prepend(n));

    /// <summary>What written nodes read, or what is given as a result, that is neither known before nor made by a node
    /// before it.</summary>
    internal static Value[] Foreign(IEnumerable<Value> known, IEnumerable<Node> written, IEnumerable<Value> results)
    {
        var defined = new HashSet<Value>(known);
        var foreign = new List<Value>();
        foreach (Node node in written)
        {
            foreign.AddRange(ReadBy(node).Where(v => !defined.Contains(v)));
            defined.UnionWith(node.Outputs.OfType<Value>());
        }
        return [.. foreign.Concat(results.Where(v => !defined.Contains(v))).Distinct()];
    }

    /// <summary>Who reads each value, in this graph and in its subgraphs (a subgraph's reader is listed as the node
    /// that carries it).</summary>
    internal Dictionary<Value, List<Node>> Readers()
    {
        var readers = new Dictionary<Value, List<Node>>();
        foreach (Node node in Nodes)
        {
            foreach (Value value in ReadBy(node).Distinct())
            {
                if (!readers.TryGetValue(value, out List<Node>? list)) readers[value] = list = [];
                list.Add(node);
            }
        }
        return readers;
    }

    /// <summary>The one node that reads a value; null where there are several or none, or the value leaves the
    /// graph.</summary>
    internal Node? OnlyReader(Dictionary<Value, List<Node>> readers, Value value) =>
        !Outputs.Contains(value) && readers.TryGetValue(value, out List<Node>? list) && list.Count == 1 ? list[0] : null;

    /// <summary>Everything a node reads: its inputs and what its subgraphs capture.</summary>
    internal static IEnumerable<Value> ReadBy(Node node)
    {
        foreach (Value? input in node.Inputs)
        {
            if (input is not null) yield return input;
        }
        foreach (OnnxGraph body in node.Subgraphs)
        {
            foreach (Value captured in body.Captured()) yield return captured;
        }
    }

    /// <summary>Values of outer graphs that this graph reads.</summary>
    internal IEnumerable<Value> Captured()
    {
        var own = new HashSet<Value>(Inputs.Concat(Initializers));
        var seen = new HashSet<Value>();
        foreach (Node node in Nodes)
        {
            foreach (Value value in ReadBy(node))
            {
                if (!own.Contains(value) && seen.Add(value)) yield return value;
            }
            foreach (Value? output in node.Outputs)
            {
                if (output is not null) own.Add(output);
            }
        }
        foreach (Value output in Outputs)
        {
            if (!own.Contains(output) && seen.Add(output)) yield return output;
        }
    }

    /// <summary>Redirects every reader of a value, graph outputs included. An output keeps its name: the caller renames
    /// where it matters.</summary>
    internal void ReplaceReaders(Value old, Value replacement)
    {
        foreach (Node node in Nodes)
        {
            for (int i = 0; i < node.Inputs.Count; i++)
            {
                if (node.Inputs[i] == old) node.Inputs[i] = replacement;
            }
            foreach (OnnxGraph body in node.Subgraphs) body.ReplaceReaders(old, replacement);
        }
        for (int i = 0; i < Outputs.Count; i++)
        {
            if (Outputs[i] == old) Outputs[i] = replacement;
        }
    }

    /// <summary>Puts other nodes in the place of some, in one sweep over the list.</summary>
    internal void Splice(IReadOnlyDictionary<Node, IReadOnlyList<Node>> pieces)
    {
        if (pieces.Count == 0) return;
        Node[] nodes = [.. Nodes.SelectMany(n => pieces.TryGetValue(n, out IReadOnlyList<Node>? piece) ? piece : [n])];
        Nodes.Clear();
        Nodes.AddRange(nodes);
    }

    /// <summary>Stable topological order; nodes of a cycle are reported by name.</summary>
    internal void Sort()
    {
        var done = new HashSet<Node>();
        var order = new List<Node>(Nodes.Count);
        var own = new HashSet<Node>(Nodes);
        var onPath = new HashSet<Node>();
        var work = new Stack<(Node Node, bool Leave)>();
        foreach (Node root in Nodes)
        {
            work.Push((root, false));
            while (work.Count > 0)
            {
                (Node node, bool leave) = work.Pop();
                if (leave)
                {
                    onPath.Remove(node);
                    if (done.Add(node)) order.Add(node);
                    continue;
                }
                if (done.Contains(node)) continue;
                if (!onPath.Add(node))
                {
                    throw new ModelFormatException(
                        $"The graph '{Name}' has a cycle through node {node.Label}. Expected an acyclic graph; export the model again.");
                }
                work.Push((node, true));
                foreach (Value value in ReadBy(node).Reverse())
                {
                    if (value.Producer is Node producer && own.Contains(producer) && !done.Contains(producer))
                    {
                        if (onPath.Contains(producer))
                        {
                            throw new ModelFormatException(
                                $"The graph '{Name}' has a cycle through nodes {producer.Label} and {node.Label}. "
                                + "Expected an acyclic graph; export the model again.");
                        }
                        work.Push((producer, false));
                    }
                }
            }
        }
        Nodes.Clear();
        Nodes.AddRange(order);
    }
}
