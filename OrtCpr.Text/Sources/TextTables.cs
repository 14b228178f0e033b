using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Text;

/// <summary>The tables of an exported model of texts: those that its tokens and its positions are looked up in.</summary>
internal sealed class TextTables
{
    // What changes the form of ids, or their type, and not which table they belong to.
    private static readonly HashSet<string> Views =
        ["Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Expand", "Dropout", "DequantizeLinear", "Clip"];

    private readonly OnnxGraph _graph;
    private readonly Dictionary<Value, HashSet<Value>> _sources = [];

    public TextTables(OnnxGraph graph) => _graph = graph;

    public TextModel Describe(string path)
    {
        var tokens = new Dictionary<Value, TensorData>();
        var positions = new List<(long Rows, long Width)>();
        foreach (Node lookup in _graph.Nodes.Where(n => n.Is("Gather") && n.Int("axis", 0) == 0))
        {
            if (TableOf(lookup) is not TensorData table || lookup.In(1) is not Value indices) continue;
            (long rows, long width) = (table.Dimensions[0], table.Dimensions[1]);
            if (Behind(indices) is { IsInitializer: false, Producer: null } input)
            {
                if (input.Name == "position_ids") positions.Add((rows, width));
                else if (!tokens.TryGetValue(input, out TensorData? other) || other.Dimensions[0] > rows) tokens[input] = table;
            }
            else if (!indices.IsInitializer && SourcesOf(indices).Count == 0)
            {
                positions.Add((rows, width));
            }
            else if (Above(indices).Any(n => n.Is("CumSum")))
            {
                positions.Add((rows - 1 - Offset(indices), width));
            }
        }
        // A table of positions of which the front part is taken.
        positions.AddRange(_graph.Nodes.Where(n => n.Is("Slice")).Select(n => n.In(0)?.Data)
            .Where(d => d is not null && d.Type.IsFloating() && d.Dimensions.Count is 2 or 3)
            .Select(d => (d!.Dimensions[^2], d.Dimensions[^1])));
        Value? ids = tokens.Keys.FirstOrDefault(i => i.Name == "input_ids")
            ?? tokens.OrderByDescending(t => t.Value.Dimensions[0]).Select(t => t.Key).FirstOrDefault();
        // Other tables, such as biases by distance, have another width.
        long? most = ids is null ? null : positions.Where(p => p.Rows > 1 && p.Width == tokens[ids].Dimensions[1])
            .Select(p => (long?)p.Rows).Min();
        long? size = ids?.Shape is { Rank: 2 } shape ? shape[1].Known : null;
        return new TextModel
        {
            Path = path,
            Inputs = [.. _graph.Inputs.Where(i => !i.IsInitializer).Select(i => i.Name)],
            VocabularySize = ids is null ? null : (int)tokens[ids].Dimensions[0],
            MaxLength = (int?)(size ?? most),
            IsFixed = size is not null,
        };
    }

    /// <summary>The table that a Gather reads, where it is a parameter of two axes.</summary>
    private static TensorData? TableOf(Node gather) =>
        gather.In(0) is Value data && Behind(data).Data is { Dimensions.Count: 2 } table ? table : null;

    private static Value Behind(Value value)
    {
        while (value.Producer is { Domain.Length: 0 } node && Views.Contains(node.OpType) && node.In(0) is Value before) value = before;
        return value;
    }

    /// <summary>The inputs whose values decide a value; a shape is none.</summary>
    private HashSet<Value> SourcesOf(Value value)
    {
        if (_sources.TryGetValue(value, out HashSet<Value>? known)) return known;
        var found = new HashSet<Value>();
        var seen = new HashSet<Value> { value };
        var open = new Stack<Value>([value]);
        while (open.TryPop(out Value? next))
        {
            if (next.Producer is null)
            {
                if (!next.IsInitializer) found.Add(next);
                continue;
            }
            if (next.Producer.Is("Shape") || next.Producer.Is("Size")) continue;
            foreach (Value input in next.Producer.Inputs.OfType<Value>())
                if (seen.Add(input)) open.Push(input);
        }
        return _sources[value] = found;
    }

    // RoBERTa's first position is the padding's id and one more.
    private static int Offset(Value indices) => Above(indices).TakeWhile(n => !n.Is("CumSum")).Where(n => n.Is("Add"))
        .SelectMany(n => n.Inputs.OfType<Value>()).Where(v => v.ConstantIntegers is [_]).Select(v => (int)v.ConstantIntegers![0]).Sum();

    private static IEnumerable<Node> Above(Value value)
    {
        var seen = new HashSet<Node>();
        var open = new Queue<Value>([value]);
        while (open.TryDequeue(out Value? next))
        {
            if (next.Producer is not Node node || !seen.Add(node)) continue;
            yield return node;
            if (node.Is("Shape")) continue;
            foreach (Value input in node.Inputs.OfType<Value>()) open.Enqueue(input);
        }
    }
}
