using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>What a legal graph is, checked between stages. A violation here is our mistake, not the user's (GraphReader
/// refuses those).</summary>
internal static class GraphChecker
{
    public static void Check(OnnxModel model, string stage)
    {
        var problems = new List<string>();
        CheckGraph(model.Graph, [], problems, stage);
        foreach (Node node in model.Graph.Nodes)
        {
            if (node.Domain.Length > 0 && !model.Opsets.ContainsKey(node.Domain))
                problems.Add($"{node.Label}: domain '{node.Domain}' is not imported");
        }
        if (problems.Count > 0)
            throw new InvalidOperationException($"Graph check failed after stage '{stage}': {string.Join("; ", problems.Take(10))}");
    }

    private static void CheckGraph(OnnxGraph graph, HashSet<Value> outer, List<string> problems, string stage)
    {
        var defined = new HashSet<Value>(outer);
        var names = new HashSet<string>(StringComparer.Ordinal);
        void Define(Value value)
        {
            defined.Add(value);
            if (!names.Add(value.Name)) problems.Add($"the name '{value.Name}' stands for two values");
        }
        foreach (Value input in graph.Inputs) Define(input);
        foreach (Value initializer in graph.Initializers)
        {
            if (initializer.Data is null) problems.Add($"initializer '{initializer.Name}' has no value");
            Define(initializer);
        }
        foreach (Node node in graph.Nodes)
        {
            foreach (Value? input in node.Inputs)
            {
                if (input is not null && !defined.Contains(input)) problems.Add($"{node.Label} reads '{input.Name}' before it is made");
            }
            foreach (OnnxGraph body in node.Subgraphs) CheckGraph(body, defined, problems, stage);
            foreach (Value? output in node.Outputs)
            {
                if (output is null) continue;
                if (output.Producer != node) problems.Add($"{node.Label} is not the producer of its output '{output.Name}'");
                Define(output);
            }
        }
        foreach (Value output in graph.Outputs)
        {
            if (!defined.Contains(output)) problems.Add($"output '{output.Name}' is made by nobody");
        }
    }
}
