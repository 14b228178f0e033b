using System.Globalization;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>Gives each BatchNormalization that is going to train running statistics of its own. Exporters write equal
/// tensors once, and before training all statistics are equal; the file gets the tensors that the model had.</summary>
internal static class SeparateStatistics
{
    /// <summary>Changes the file.</summary>
    /// <param name="model">The model.</param>
    /// <param name="trains">Which BatchNormalization nodes will update their statistics.</param>
    /// <returns>What was changed, for the user.</returns>
    public static IReadOnlyList<string> Run(ModelProto model, Func<NodeProto, bool> trains)
    {
        GraphProto graph = model.Graph;
        NodeProto[] nodes = [.. graph.Node.Where(n => n.OpType == "BatchNormalization" && n.Domain is "" or "ai.onnx"
            && n.Input.Count > 4 && trains(n))];
        if (nodes.Length == 0) return [];
        var initializers = graph.Initializer.GroupBy(i => i.Name).ToDictionary(g => g.Key, g => g.First(), StringComparer.Ordinal);
        var copies = graph.Node.Where(n => n.OpType == "Identity" && n.Input.Count == 1 && n.Output.Count == 1)
            .GroupBy(n => n.Output[0]).ToDictionary(g => g.Key, g => g.First(), StringComparer.Ordinal);
        var readers = graph.Node.SelectMany(n => n.Input).Concat(graph.Output.Select(o => o.Name)).GroupBy(n => n)
            .ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);
        var told = new List<string>();
        foreach (NodeProto node in nodes)
        {
            foreach (int input in (int[])[3, 4])
            {
                string name = node.Input[input], source = name;
                while (copies.TryGetValue(source, out NodeProto? copy)) source = copy.Input[0];
                if (!initializers.TryGetValue(source, out TensorProto? stored)) continue;
                if (source == name && readers.GetValueOrDefault(name) <= 1) continue;
                string own = name;
                if (source != name && readers.GetValueOrDefault(name) == 1)
                {
                    // The name that the tensor had before the exporter merged it.
                    graph.Node.Remove(copies[name]);
                }
                else
                {
                    own = $"{name}.{ModelTensors.NameOf(node)}";
                    for (int i = 1; readers.ContainsKey(own) || initializers.ContainsKey(own); i++)
                        own = string.Create(CultureInfo.InvariantCulture, $"{name}.{ModelTensors.NameOf(node)}_{i}");
                    node.Input[input] = own;
                    readers[name]--;
                }
                TensorProto separate = stored.Clone();
                separate.Name = own;
                graph.Initializer.Add(separate);
                // Before IR 4 an initializer is an input too.
                if (graph.Input.FirstOrDefault(i => i.Name == source) is ValueInfoProto declared)
                    graph.Input.Add(new ValueInfoProto(declared) { Name = own });
                initializers[own] = separate;
                told.Add($"BatchNormalization node '{ModelTensors.NameOf(node)}' shared its running statistic '{source}' with others, as "
                    + $"exporters write equal tensors; it has its own now, '{own}', in the exported model too.");
            }
        }
        return told;
    }
}
