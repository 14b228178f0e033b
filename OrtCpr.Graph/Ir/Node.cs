using System.Text;

namespace OrtCpr.Graph.Ir;

/// <summary>One operator call.</summary>
public sealed class Node
{
    private readonly SortedDictionary<string, object> _attributes = new(StringComparer.Ordinal);

    internal Node(string domain, string opType, string name)
    {
        Domain = domain;
        OpType = opType;
        Name = name;
    }

    /// <summary>Operator name, such as <c>MatMul</c>.</summary>
    public string OpType { get; internal set; }

    /// <summary>Operator domain; empty for the ONNX operators.</summary>
    public string Domain { get; internal set; }

    /// <summary>Node name; may be empty.</summary>
    public string Name { get; internal set; }

    /// <summary>Overload of a model-local function; empty for operators.</summary>
    internal string Overload { get; set; } = "";

    /// <summary>Inputs in order; null where an optional one is omitted.</summary>
    public GraphList<Value?> Inputs { get; } = new();

    /// <summary>Outputs in order; null where an optional one is omitted.</summary>
    public GraphList<Value?> Outputs { get; } = new();

    internal IReadOnlyDictionary<string, object> Attributes => _attributes;

    /// <summary>The message it was read from (doc string, metadata, unknown fields), or null.</summary>
    internal object? Origin { get; set; }

    /// <summary>Text for messages: <c>Conv 'conv1'</c>, or the first output where the node has no name.</summary>
    public string Label => $"{QualifiedType} '{(Name.Length > 0 ? Name : Outputs.FirstOrDefault(o => o is not null)?.Name)}'";

    /// <summary>Domain and operator name, such as <c>com.microsoft.Gelu</c>.</summary>
    public string QualifiedType => Domain.Length == 0 ? OpType : $"{Domain}.{OpType}";

    /// <summary>Input <paramref name="index"/>; null when it is omitted.</summary>
    /// <param name="index">From 0; may be beyond the last.</param>
    public Value? In(int index) => index < Inputs.Count ? Inputs[index] : null;

    /// <summary>True for the operator <paramref name="opType"/> of the ONNX domain.</summary>
    /// <param name="opType">Its name, such as <c>MatMul</c>.</param>
    public bool Is(string opType) => Domain.Length == 0 && OpType == opType;

    /// <summary>An INT attribute, or <paramref name="fallback"/> when it is absent.</summary>
    /// <param name="name">The attribute.</param>
    /// <param name="fallback">The operator's default.</param>
    /// <exception cref="ModelFormatException">The attribute is of another kind.</exception>
    public long Int(string name, long fallback) => _attributes.TryGetValue(name, out object? v) ? Of<long>(name, v, "INT") : fallback;

    /// <summary>A FLOAT attribute, or <paramref name="fallback"/> when it is absent.</summary>
    /// <param name="name">The attribute.</param>
    /// <param name="fallback">The operator's default.</param>
    /// <exception cref="ModelFormatException">The attribute is of another kind.</exception>
    public float Float(string name, float fallback) =>
        _attributes.TryGetValue(name, out object? v) ? Of<float>(name, v, "FLOAT") : fallback;

    /// <summary>A STRING attribute, or <paramref name="fallback"/> when it is absent.</summary>
    /// <param name="name">The attribute.</param>
    /// <param name="fallback">The operator's default.</param>
    /// <exception cref="ModelFormatException">The attribute is of another kind.</exception>
    public string Text(string name, string fallback) =>
        _attributes.TryGetValue(name, out object? v) ? Encoding.UTF8.GetString(Of<byte[]>(name, v, "STRING")) : fallback;

    /// <summary>An INTS attribute; null when it is absent.</summary>
    /// <param name="name">The attribute.</param>
    /// <exception cref="ModelFormatException">The attribute is of another kind.</exception>
    public long[]? Ints(string name) => _attributes.TryGetValue(name, out object? v) ? Of<long[]>(name, v, "INTS") : null;

    /// <summary>A FLOATS attribute; null when it is absent.</summary>
    /// <param name="name">The attribute.</param>
    /// <exception cref="ModelFormatException">The attribute is of another kind.</exception>
    public float[]? Floats(string name) => _attributes.TryGetValue(name, out object? v) ? Of<float[]>(name, v, "FLOATS") : null;

    /// <summary>A STRINGS attribute; null when it is absent.</summary>
    internal string[]? Texts(string name) =>
        _attributes.TryGetValue(name, out object? v) ? [.. Of<byte[][]>(name, v, "STRINGS").Select(Encoding.UTF8.GetString)] : null;

    /// <summary>A TENSOR attribute; null when it is absent.</summary>
    /// <param name="name">The attribute.</param>
    /// <exception cref="ModelFormatException">The attribute is of another kind.</exception>
    public TensorData? Tensor(string name) => _attributes.TryGetValue(name, out object? v) ? Of<TensorData>(name, v, "TENSOR") : null;

    /// <summary>A GRAPH attribute, which must be there.</summary>
    internal OnnxGraph Graph(string name) => _attributes.TryGetValue(name, out object? v) ? Of<OnnxGraph>(name, v, "GRAPH")
        : throw new ModelFormatException($"Node {Label} has no attribute '{name}'. Export the model again, or check it with onnx.checker.");

    /// <summary>True when the attribute is given.</summary>
    /// <param name="name">The attribute.</param>
    public bool Has(string name) => _attributes.ContainsKey(name);

    private T Of<T>(string name, object value, string kind) => value is T typed ? typed
        : throw new ModelFormatException(
            $"Attribute '{name}' of node {Label}: expected a value of kind {kind}, found another. "
            + "Export the model again, or check it with onnx.checker.");

    internal IEnumerable<OnnxGraph> Subgraphs => _attributes.Values.OfType<OnnxGraph>()
        .Concat(_attributes.Values.OfType<OnnxGraph[]>().SelectMany(g => g));

    /// <summary>Values: long, float, byte[] (string), long[], float[], byte[][], TensorData, OnnxGraph, OnnxGraph[],
    /// AttributeReference, or the protobuf message itself for kinds that nothing here looks into.</summary>
    internal Node Set(string name, object value)
    {
        _attributes[name] = value switch
        {
            string s => Encoding.UTF8.GetBytes(s),
            int i => (long)i,
            bool b => b ? 1L : 0L,
            _ => value,
        };
        return this;
    }

    internal void Unset(string name) => _attributes.Remove(name);

    /// <inheritdoc/>
    public override string ToString() =>
        $"{string.Join(", ", Outputs.Select(o => o?.Name ?? "_"))} = "
        + $"{QualifiedType}({string.Join(", ", Inputs.Select(i => i?.Name ?? "_"))})";
}

/// <summary>An attribute of a function body that takes its value from the call.</summary>
internal sealed record AttributeReference(string Name, int Kind);
