using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.OnnxTraining;

/// <summary>What the standard says of <c>training_info</c> (comments of TrainingInfoProto and ModelProto in onnx.proto, "Training Related
/// Information" in IR.md), checked without any code of the library but the messages.</summary>
internal static class TrainingInfoRules
{
    public static IReadOnlyList<string> Problems(ModelProto model)
    {
        var problems = new List<string>();
        var problemsOf = new GraphRules(model, problems);
        problemsOf.Check(model.Graph, "graph");
        foreach (TrainingInfoProto info in model.TrainingInfo)
        {
            string where = info.Algorithm?.Name ?? "";
            problemsOf.Check(Combined(model, info), $"graph with {where}");
            if (info.Initialization is GraphProto start)
            {
                if (start.Input.Count > 0) problems.Add("an initialization has no inputs");
                problemsOf.Check(start, "initialization");
            }
            Dictionary<string, TensorProto> own = model.Graph.Initializer.Concat(info.Algorithm?.Initializer ?? [])
                .ToDictionary(i => i.Name, StringComparer.Ordinal);
            Bindings(info.UpdateBinding, own, Combined(model, info).Output, $"update_binding of {where}", problems);
            Bindings(info.InitializationBinding, own, info.Initialization?.Output ?? [], $"initialization_binding of {where}", problems);
        }
        foreach (string name in model.Graph.Initializer.Concat(model.TrainingInfo.SelectMany(i => i.Algorithm?.Initializer ?? []))
            .GroupBy(i => i.Name).Where(g => g.Count() > 1).Select(g => g.Key))
        {
            problems.Add($"two initializers of the model are called '{name}'");
        }
        foreach (string key in model.MetadataProps.GroupBy(m => m.Key).Where(g => g.Count() > 1).Select(g => g.Key))
            problems.Add($"two entries of the metadata are called '{key}'");
        if (model.OpsetImport.GroupBy(o => o.Domain).Any(g => g.Count() > 1)) problems.Add("a domain is imported twice");
        return problems;
    }

    /// <summary>The lists of the inference graph, and behind each that of the algorithm.</summary>
    public static GraphProto Combined(ModelProto model, TrainingInfoProto info)
    {
        GraphProto graph = model.Graph.Clone();
        GraphProto algorithm = info.Algorithm ?? new GraphProto();
        graph.Input.AddRange(algorithm.Input);
        graph.Initializer.AddRange(algorithm.Initializer);
        graph.Node.AddRange(algorithm.Node);
        graph.Output.AddRange(algorithm.Output);
        graph.ValueInfo.AddRange(algorithm.ValueInfo);
        return graph;
    }

    private static void Bindings(IEnumerable<StringStringEntryProto> bindings, Dictionary<string, TensorProto> initializers,
        IEnumerable<ValueInfoProto> outputs, string where, List<string> problems)
    {
        Dictionary<string, ValueInfoProto> byName = outputs.ToDictionary(o => o.Name, StringComparer.Ordinal);
        var keys = new HashSet<string>(StringComparer.Ordinal);
        foreach (StringStringEntryProto binding in bindings)
        {
            if (!keys.Add(binding.Key)) problems.Add($"{where}: '{binding.Key}' is bound twice");
            if (!initializers.TryGetValue(binding.Key, out TensorProto? initializer))
                problems.Add($"{where}: '{binding.Key}' is no initializer");
            if (!byName.TryGetValue(binding.Value, out ValueInfoProto? output))
                problems.Add($"{where}: '{binding.Value}' is no output");
            if (initializer is null || output?.Type?.TensorType is not { } type) continue;
            if (type.ElemType != initializer.DataType) problems.Add($"{where}: '{binding.Key}' and '{binding.Value}' differ in type");
            if (type.Shape is null || !type.Shape.Dim.Select(d => d.DimValue).SequenceEqual(initializer.Dims))
                problems.Add($"{where}: '{binding.Key}' and '{binding.Value}' differ in shape");
        }
    }

    /// <summary>Names are defined once, also against the bodies of nodes; what is read is defined before; outputs have a type; operators
    /// are of an imported domain or functions of the model.</summary>
    private sealed class GraphRules(ModelProto model, List<string> problems)
    {
        public void Check(GraphProto graph, string where)
        {
            Check(graph, where, [], new HashSet<string>(StringComparer.Ordinal));
            if (graph.Name.Length == 0) problems.Add($"{where}: has no name");
            foreach (ValueInfoProto value in graph.Input.Concat(graph.Output).Where(v => v.Type?.TensorType is not { ElemType: > 0 }))
                problems.Add($"{where}: '{value.Name}' has no type");
            foreach (string name in graph.Output.GroupBy(o => o.Name).Where(g => g.Count() > 1).Select(g => g.Key))
                problems.Add($"{where}: output '{name}' is listed twice");
        }

        private void Check(GraphProto graph, string where, HashSet<string> outer, HashSet<string> nodeNames)
        {
            var known = new HashSet<string>(outer, StringComparer.Ordinal);
            HashSet<string> initializers = [.. graph.Initializer.Select(i => i.Name)];
            void Define(string name)
            {
                if (name.Length > 0 && !known.Add(name)) problems.Add($"{where}: '{name}' is defined twice");
            }
            foreach (TensorProto initializer in graph.Initializer) Define(initializer.Name);
            // An input of an initializer's name is a value that a caller may leave out.
            foreach (ValueInfoProto input in graph.Input.Where(i => !initializers.Contains(i.Name))) Define(input.Name);
            foreach (NodeProto node in graph.Node)
            {
                if (node.Name.Length > 0 && !nodeNames.Add(node.Name)) problems.Add($"{where}: two nodes are called '{node.Name}'");
                foreach (string input in node.Input.Where(i => i.Length > 0 && !known.Contains(i)))
                    problems.Add($"{where}: node '{node.Name}' reads '{input}' before it is defined");
                foreach (GraphProto body in node.Attribute.Where(a => a.G is not null).Select(a => a.G))
                    Check(body, where, known, nodeNames);
                foreach (string output in node.Output) Define(output);
                CheckOperator(node, where);
            }
            foreach (ValueInfoProto output in graph.Output.Where(o => !known.Contains(o.Name)))
                problems.Add($"{where}: output '{output.Name}' is not defined");
        }

        private void CheckOperator(NodeProto node, string where)
        {
            if (model.OpsetImport.All(o => o.Domain != node.Domain)) problems.Add($"{where}: domain '{node.Domain}' is not imported");
            if (node.Domain.Length > 0 && node.Domain != "com.microsoft"
                && model.Functions.All(f => f.Domain != node.Domain || f.Name != node.OpType))
            {
                problems.Add($"{where}: '{node.Domain}.{node.OpType}' has no function");
            }
        }
    }
}
