using System.Globalization;

namespace OrtCpr.Graph.Ir;

/// <summary>Writes nodes into a graph: one method per ONNX operator that OrtCpr emits, each giving its result a name,
/// type and shape.</summary>
/// <remarks>Names of results start with <see cref="Scope"/>, so they tell what they were made for. Constants are shared.
/// Not thread-safe; belongs to the stage that made it.</remarks>
public sealed partial class GraphBuilder
{
    private readonly OnnxGraph _graph;
    private readonly List<Node> _sink;
    private readonly ShapeInference _known;
    private readonly Dictionary<string, Value> _constants = new(StringComparer.Ordinal);
    private readonly Dictionary<Value, Value> _shapes = [];

    internal GraphBuilder(OnnxGraph graph, ShapeInference? known = null, List<Node>? sink = null)
    {
        _graph = graph;
        _known = known ?? new ShapeInference();
        _sink = sink ?? graph.Nodes;
    }

    /// <summary>What the names of the next results start with; empty for the operator's name alone.</summary>
    public string Scope { get; set; } = "";

    internal ShapeInference Known => _known;

    internal OnnxGraph Graph => _graph;

    /// <summary>A value to calculate with: operators on the term write their nodes here.</summary>
    public Term Term(Value value) => new(this, value);

    /// <summary>Input <c>index</c> of a node, which must be given, to calculate with.</summary>
    internal Term In(Node node, int index) => new(this, node.Inputs[index]!);

    /// <summary>Nodes emitted so far, and whatever else is in the list they go to.</summary>
    internal List<Node> Emitted => _sink;

    /// <summary>Emits a node with one output.</summary>
    /// <param name="opType">Operator; of domain com.microsoft when written <c>com.microsoft.X</c>, of ours when <c>ortcpr.X</c>.</param>
    /// <param name="inputs">Inputs in order; null for an omitted optional one.</param>
    /// <param name="attributes">Attributes: long, int, bool, float, string, long[], float[] or tensor values.</param>
    public Term Op(string opType, ReadOnlySpan<Value?> inputs, params ReadOnlySpan<(string Name, object Value)> attributes) =>
        Ops(opType, 1, inputs, attributes)[0];

    /// <summary>Emits a node with several outputs.</summary>
    /// <param name="opType">Operator, as in <see cref="Op"/>.</param>
    /// <param name="outputs">Number of outputs.</param>
    /// <param name="inputs">Inputs in order; null for an omitted optional one.</param>
    /// <param name="attributes">Attributes.</param>
    public Term[] Ops(string opType, int outputs, ReadOnlySpan<Value?> inputs, params ReadOnlySpan<(string Name, object Value)> attributes)
    {
        int dot = opType.LastIndexOf('.');
        string domain = dot < 0 ? "" : opType[..dot], op = opType[(dot + 1)..];
        string name = Scope.Length == 0 ? op : $"{Scope}/{op}";
        var node = new Node(domain, op, "");
        foreach (Value? input in inputs) node.Inputs.Add(input);
        while (node.Inputs.Count > 0 && node.Inputs[^1] is null) node.Inputs.RemoveAt(node.Inputs.Count - 1);
        foreach ((string key, object value) in attributes) node.Set(key, value);
        var results = new Term[outputs];
        for (int i = 0; i < outputs; i++)
        {
            results[i] = new Term(this, new Value(_graph.Names.Unique(name)) { Producer = node });
            node.Outputs.Add(results[i]);
        }
        node.Name = results[0].Value.Name;
        _sink.Add(node);
        _known.Visit(node);
        return results;
    }

    /// <summary>States a shape (and type) that the emitter knows better than inference does.</summary>
    public static Value Typed(Value value, ElementType type, Shape? shape)
    {
        value.Type = type;
        value.Shape = shape;
        return value;
    }

    /// <summary>States that a value has the shape and type of another.</summary>
    public static Value Like(Value value, Value other) => Typed(value, other.Type, other.Shape);

    /// <summary>Gives an emitted value the name by which the driver knows it.</summary>
    internal Term Named(Value value, string name)
    {
        value.Name = _graph.Names.Unique(name);
        return Term(value);
    }

    // Makes a value a graph output of a wanted name; what is an output or an input already gets an Identity.
    internal Value AddOutput(Value value, string name, Value like)
    {
        if (value.Producer is null || _graph.Outputs.Contains(value)) value = Identity(value);
        _graph.Outputs.Add(Like(Named(value, name), like));
        return value;
    }

    /// <summary>A shared constant.</summary>
    public Term Constant(TensorData data)
    {
        string key = data.ElementCount <= 64
            ? $"{data.Type}[{string.Join(',', data.Dimensions)}]{Convert.ToHexString(data.Bytes.Span)}"
            : $"{data.Type}#{_constants.Count}";
        if (_constants.TryGetValue(key, out Value? known)) return Term(known);
        string text = data.ElementCount == 1 ? data.ToDoubles()[0].ToString("G6", CultureInfo.InvariantCulture)
            : $"{data.Type}{data.Dimensions.Count}d";
        return Term(_constants[key] = _graph.AddInitializer($"const/{text}", data));
    }

    /// <summary>A scalar constant of a type, rounded once from double.</summary>
    public Term Scalar(double value, ElementType type) => Constant(ScalarData(value, type));

    /// <summary>A vector of integers (INT64).</summary>
    public Term Ints(params long[] values) => Constant(TensorData.From<long>(values, values.Length));

    /// <summary>An integer scalar (INT64).</summary>
    public Term Int(long value) => Constant(TensorData.Scalar(value));

    internal static TensorData ScalarData(double value, ElementType type) => type switch
    {
        ElementType.Float => TensorData.Scalar((float)value),
        ElementType.Double => TensorData.Scalar(value),
        ElementType.Float16 => TensorData.Scalar((Half)value),
        ElementType.BFloat16 => TensorData.Scalar(value).ConvertTo(ElementType.BFloat16),
        ElementType.Int64 => TensorData.Scalar((long)value),
        ElementType.Int32 => TensorData.Scalar((int)value),
        ElementType.Bool => TensorData.Scalar(value != 0),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "No scalar constants of this type."),
    };

    /// <summary>The shape of a value as an INT64 vector: a constant where all dimensions are known, else one Shape node
    /// per value.</summary>
    public Term ShapeOf(Value value)
    {
        if (value.Shape?.Sizes is long[] sizes) return Ints(sizes);
        if (_shapes.TryGetValue(value, out Value? known)) return Term(known);
        return Term(_shapes[value] = Op("Shape", [value]));
    }

    /// <summary>One dimension of a value as an INT64 vector of one element.</summary>
    public Term DimOf(Value value, int axis) =>
        value.Shape is Shape s && s[s.Axis(axis)].Known is long n ? Ints(n)
        : value.Shape is Shape known ? Op("Shape", [value], ("start", known.Axis(axis)), ("end", known.Axis(axis) + 1))
        : axis == -1 ? Op("Shape", [value], ("start", -1)) : Op("Shape", [value], ("start", axis), ("end", axis + 1));

    /// <summary>Number of elements of a value as an INT64 scalar.</summary>
    public Term SizeOf(Value value) => value.Shape?.ElementCount?.Constant is long n ? Int(n) : Op("Size", [value]);

    /// <summary>A target for Reshape that gives <paramref name="shape"/>: a constant where at most one dimension is not a number.</summary>
    public Value? ReshapeTarget(Shape? shape)
    {
        if (shape is null || shape.Count(d => d.Known is null) > 1 || shape.Any(d => d.Known == 0)) return null;
        return Ints([.. shape.Select(d => d.Known ?? -1)]);
    }

    /// <summary>Reshapes a value to the shape of another (same number of elements).</summary>
    public Term ReshapeLike(Value value, Value other)
    {
        if (value.Shape is Shape shape && shape.SurelyEquals(other.Shape)) return Term(value);
        // 0 keeps a dimension that stays where it is, which saves the Shape of a tensor with two symbols.
        if (ReshapeTarget(other.Shape) is null && value.Shape is Shape from && other.Shape is Shape to
            && from.Concat(to).All(d => d.Known != 0)
            && Shape.ReshapeTarget(from, to) is long[] kept)
        {
            return Op("Reshape", [value, Ints(kept)]).Like(other);
        }
        return Reshape(value, ReshapeTarget(other.Shape) ?? ShapeOf(other)).Like(other);
    }

    /// <summary>Expands a value to the shape of another.</summary>
    public Term ExpandLike(Value value, Value other)
    {
        if (value.Shape is Shape shape && shape.SurelyEquals(other.Shape)) return Term(value);
        return Op("Expand", [value, ShapeOf(other)]).Typed(value.Type, other.Shape);
    }

    /// <summary>A tensor of the shape and type of another, all elements equal.</summary>
    public Term Filled(double value, Value like) => FilledOf(value, ShapeOf(like), like.Type).Like(like);

    /// <summary>Sums a gradient over the axes that a broadcast added or stretched, back to the shape of its source.</summary>
    /// <remarks>Axes are decided here where dimensions are numbers or equal symbols, else in the graph.</remarks>
    public Term SumTo(Value gradient, Value source)
    {
        Shape? from = gradient.Shape, to = source.Shape;
        if (from is null || to is null) return SumToAtRunTime(gradient, source);
        int lead = from.Rank - to.Rank;
        if (lead < 0) return SumToAtRunTime(gradient, source);
        var axes = new List<long>();
        for (int i = 0; i < from.Rank; i++)
        {
            if (i < lead) axes.Add(i);
            else if (to[i - lead].Known == 1 && from[i].Known != 1) axes.Add(i);
            else if (to[i - lead].Known is not > 1 && !to[i - lead].SurelyEquals(from[i])) return SumToAtRunTime(gradient, source);
        }
        if (axes.Count == 0) return Term(gradient).Like(source);
        bool onlyLead = axes.Count == lead;
        Term sum = ReduceSum(gradient, keepDims: !onlyLead, [.. axes]);
        return onlyLead || lead == 0 ? sum.Like(source) : ReshapeLike(sum, source);
    }

    /// <summary>Sum of all elements of a tensor of any shape, as a scalar. In two levels of at most 1,024 and n/1,024
    /// summands, so that rounding stays near that of pairwise order whatever the kernel does; for any length, by zeros
    /// at the end.</summary>
    internal Term SumInBlocks(Value x)
    {
        const long block = 1024;
        Value flat = Reshape(x, -1);
        Value missing = Op("Mod", [-Op("Shape", [flat]), Ints(block)]);
        Value padded = Op("Pad", [flat, Concat(0, Ints(0), missing)]);
        return ReduceSum(ReduceSum(Reshape(padded, -1, block), false, 1), false, 0);
    }

    private Term SumToAtRunTime(Value gradient, Value source)
    {
        Value from = ShapeOf(gradient), to = ShapeOf(source);
        Value missing = Op("Shape", [from]) - Op("Shape", [to]);
        Value ones = Op("ConstantOfShape", [missing], ("value", TensorData.From<long>([1], 1)));
        Value padded = Concat(0, ones, to);
        Value stretched = !Equal(from, padded);
        Value axes = Squeeze(Op("NonZero", [stretched]), 0);
        Value sum = Op("ReduceSum", [gradient, axes], ("keepdims", 1), ("noop_with_empty_axes", 1));
        return Reshape(sum, to).Like(source);
    }

    internal static TensorData Reshaped(TensorData data, params long[] dims) => TensorData.Create(data.Type, dims, data.Bytes);

    internal static TensorData FloatVector(ElementType type, params double[] values) => type == ElementType.Double
        ? TensorData.From<double>(values, values.Length)
        : TensorData.From<float>(values.Select(v => (float)v).ToArray(), values.Length);
}
