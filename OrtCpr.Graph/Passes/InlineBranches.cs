using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>An If whose condition is known gives way to the branch that is taken: exporters write such for every
/// squeeze of an axis that may be 1, and a branch that is never taken may not even be legal.</summary>
internal static class InlineBranches
{
    /// <summary>Shapes of a model, with every branch inlined that they decide.</summary>
    public static ShapeInference InferAndRun(OnnxModel model)
    {
        ShapeInference known = InferShapes.Run(model);
        while (Run(model, known)) known = InferShapes.Run(model);
        return known;
    }

    /// <summary><c>known</c>: what shapes say of small integers and truth values; null where only constants count.</summary>
    /// <returns>True when any was inlined.</returns>
    public static bool Run(OnnxModel model, ShapeInference? known = null) => Run(model.Graph, known);

    private static bool Run(OnnxGraph graph, ShapeInference? known)
    {
        bool any = false;
        var pieces = new Dictionary<Node, IReadOnlyList<Node>>();
        foreach (Node node in graph.Nodes)
        {
            if (node.Is("If") && Condition(node.In(0), known) is bool taken)
            {
                pieces[node] = Inlined(graph, node, node.Graph(taken ? "then_branch" : "else_branch"));
                continue;
            }
            foreach (OnnxGraph body in node.Subgraphs)
            {
                // Bodies are inferred as models of their own; what they compute of shapes is not known out here yet.
                foreach (Node inner in body.Nodes) known?.Visit(inner);
                any |= Run(body, known);
            }
        }
        graph.Splice(pieces);
        if (pieces.Count == 0) return any;
        RemoveDeadNodes.Run(graph);
        // A branch may hold further ones.
        Run(graph, known);
        return true;
    }

    private static bool? Condition(Value? condition, ShapeInference? known)
    {
        if (condition?.Data is { Type: ElementType.Bool, ElementCount: 1 } data) return data.ToInt64s()[0] != 0;
        return known?.Constants(condition) is [long value] ? value != 0 : null;
    }

    private static List<Node> Inlined(OnnxGraph graph, Node node, OnnxGraph branch)
    {
        foreach (Value initializer in branch.Initializers) graph.Initializers.Add(initializer);
        string prefix = node.Name.Length > 0 ? node.Name : node.Outputs.OfType<Value>().First().Name;
        foreach (Node inner in branch.Nodes)
        {
            // Branches beside each other may use one name for two values.
            foreach (Value? output in inner.Outputs)
            {
                if (output is not null) output.Name = graph.Names.Unique($"{prefix}/{output.Name}");
            }
            if (inner.Name.Length > 0) inner.Name = graph.Names.Unique($"{prefix}/{inner.Name}");
        }
        var nodes = new List<Node>(branch.Nodes);
        for (int i = 0; i < Math.Min(node.Outputs.Count, branch.Outputs.Count); i++)
        {
            if (node.Outputs[i] is not Value output) continue;
            var copy = new Node("", "Identity", graph.Names.Unique($"{prefix}/Identity"));
            copy.Inputs.Add(branch.Outputs[i]);
            copy.Outputs.Add(output);
            output.Producer = copy;
            // What the two branches agreed on may be less than what this one says.
            output.Shape = null;
            nodes.Add(copy);
        }
        return nodes;
    }
}
