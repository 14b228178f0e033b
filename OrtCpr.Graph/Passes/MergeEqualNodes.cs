using System.Globalization;
using System.Text;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Nodes that compute the same of the same are computed once: shapes that several rules ask for, flattened
/// rows of an activation that three projections read, statistics that forward and backward share. Equal small constants
/// are one first, so that what reads them can be equal.</summary>
internal static class MergeEqualNodes
{
    /// <summary>Larger constants are told apart by identity.</summary>
    private const long ComparedElements = 64;

    public static void Run(OnnxGraph graph)
    {
        var replaced = new Dictionary<Value, Value>();
        var numbers = new Dictionary<Value, int>();
        MergeConstants(graph, replaced);
        var first = new Dictionary<string, Node>(StringComparer.Ordinal);
        var outputs = new HashSet<Value>(graph.Outputs);
        var merged = new HashSet<Node>();
        foreach (Node node in graph.Nodes)
        {
            for (int i = 0; i < node.Inputs.Count; i++)
            {
                if (node.Inputs[i] is Value input && replaced.TryGetValue(input, out Value? same)) node.Inputs[i] = same;
            }
            if (node.Subgraphs.Any())
            {
                foreach (OnnxGraph body in node.Subgraphs) ReplaceIn(body, replaced);
                continue;
            }
            if (OperatorTraits.MayDraw(node) || node.Outputs.Any(o => o is not null && outputs.Contains(o))) continue;
            string key = Key(node, numbers);
            if (first.TryAdd(key, node)) continue;
            Node kept = first[key];
            for (int i = 0; i < node.Outputs.Count; i++)
            {
                if (node.Outputs[i] is Value output) replaced[output] = kept.Outputs[i]!;
            }
            merged.Add(node);
        }
        graph.Nodes.RemoveAll(merged.Contains);
    }

    private static void MergeConstants(OnnxGraph graph, Dictionary<Value, Value> replaced)
    {
        var outputs = new HashSet<Value>(graph.Outputs);
        var known = new Dictionary<string, Value>(StringComparer.Ordinal);
        foreach (Value constant in graph.Initializers)
        {
            if (constant.Data is not TensorData data || data.ElementCount > ComparedElements || outputs.Contains(constant)) continue;
            string key = Text(data);
            if (!known.TryAdd(key, constant)) replaced[constant] = known[key];
        }
    }

    private static void ReplaceIn(OnnxGraph body, Dictionary<Value, Value> replaced)
    {
        foreach (Node node in body.Nodes)
        {
            for (int i = 0; i < node.Inputs.Count; i++)
            {
                if (node.Inputs[i] is Value input && replaced.TryGetValue(input, out Value? same)) node.Inputs[i] = same;
            }
            foreach (OnnxGraph inner in node.Subgraphs) ReplaceIn(inner, replaced);
        }
        for (int i = 0; i < body.Outputs.Count; i++)
        {
            if (replaced.TryGetValue(body.Outputs[i], out Value? same)) body.Outputs[i] = same;
        }
    }

    /// <summary>Operator, attributes and inputs by number. An attribute that is more than numbers and text makes the
    /// node equal to itself alone.</summary>
    private static string Key(Node node, Dictionary<Value, int> numbers)
    {
        StringBuilder key = new StringBuilder(node.QualifiedType).Append(':').Append(node.Outputs.Count);
        foreach (Value? output in node.Outputs) key.Append(output is null ? '-' : '+');
        foreach (Value? input in node.Inputs)
        {
            key.Append(',');
            if (input is null) continue;
            if (!numbers.TryGetValue(input, out int number)) numbers[input] = number = numbers.Count;
            key.Append(number);
        }
        foreach ((string name, object value) in node.Attributes)
        {
            key.Append(';').Append(name).Append('=').Append(value switch
            {
                long number => number.ToString(CultureInfo.InvariantCulture),
                float number => BitConverter.SingleToInt32Bits(number).ToString(CultureInfo.InvariantCulture),
                byte[] text => Convert.ToHexString(text),
                long[] list => string.Join(' ', list),
                float[] list => string.Join(' ', list.Select(BitConverter.SingleToInt32Bits)),
                TensorData { ElementCount: <= ComparedElements } data => Text(data),
                _ => node.Outputs.First(o => o is not null)!.Name,
            });
        }
        return key.ToString();
    }

    private static string Text(TensorData data) =>
        $"{data.Type}[{string.Join(',', data.Dimensions)}]{Convert.ToHexString(data.Bytes.Span)}";
}
