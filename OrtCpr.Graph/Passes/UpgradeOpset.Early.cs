using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Changes of opsets 2 to 9. Before 7 a second operand was laid along the first one's axes by an attribute,
/// which takes the first one's rank: most ranks follow from our own shape rules, the rest is written for run
/// time.</summary>
internal static partial class UpgradeOpset
{
    /// <summary>Operators that listed which inputs they write over.</summary>
    private static string[] WithConsumedInputs =>
    [
        "Abs", "Add", "BatchNormalization", "Ceil", "Clip", "Div", "Dropout", "Elu", "Exp", "Floor", "HardSigmoid",
        "InstanceNormalization", "LeakyRelu", "Log", "Max", "Mean", "Min", "Mul", "Neg", "PRelu", "Reciprocal", "Relu", "Reshape",
        "Selu", "Sigmoid", "Sqrt", "Sub", "Sum", "Tanh",
    ];

    private static string[] Pairwise =>
        ["Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor"];

    private static string[] Recurrent => ["GRU", "LSTM", "RNN"];

    /// <summary>Experimental operators that no runtime ever had in one form.</summary>
    private static string[] Refused => ["ATen", "Embedding", "FC", "GRUUnit", "LoopIndexTensor"];

    private static Row[] Early =>
    [
        .. WithConsumedInputs.Select(op => new Row(op, 6, (n, u) => n.Unset("consumed_inputs"))),
        .. Pairwise.Select(op => new Row(op, 7, AlongAxis)),
        .. Recurrent.Select(op => new Row(op, 7, (n, u) => n.Unset("output_sequence"))),
        .. Refused.Select(op => new Row(op, 10, Refuse, Gone: true)),
        new("BatchNormalization", 7, TestForm),
        new("BatchNormalization", 9, NotSpatial),
        new("Cast", 6, TypeByName),
        new("Concat", 4, (n, u) => n.Set("axis", n.Int("axis", 1))),
        new("ConstantFill", 10, ConstantFill, Gone: true),
        new("Dropout", 7, DropsUnlessTest),
        new("Gemm", 7, (n, u) => n.Unset("broadcast")),
        new("GivenTensorFill", 10, GivenTensorFill, Gone: true),
        new("GlobalLpPool", 2, WholePower),
        new("LpPool", 2, WholePower),
        new("MeanVarianceNormalization", 9, OverPixels),
        new("PRelu", 7, (n, u) => Align(n, u, 1)),
        new("Pad", 2, (n, u) => Rename(n, "paddings", "pads")),
        new("Reshape", 5, (n, u) => IntsInput(n, u, "shape", 1)),
        new("Scan", 9, BatchedScan),
        new("Selu", 6, (n, u) => n.Set("alpha", n.Float("alpha", 1.6732f)).Set("gamma", n.Float("gamma", 1.0507f))),
        new("Split", 2, (n, u) => WholeNumbers(n, u, 1)),
        new("Tile", 6, TileOneAxis),
        new("Upsample", 7, WidthAndHeight),
        new("Upsample", 9, (n, u) => FloatsInput(n, u, "scales", 1)),
    ];

    private static void Rename(Node node, string from, string to)
    {
        if (!node.Has(from)) return;
        node.Set(to, node.Attributes[from]);
        node.Unset(from);
    }

    private static void FloatsInput(Node node, Upgrade u, string attribute, int index)
    {
        if (node.Floats(attribute) is not float[] values) return;
        SetInput(node, index, u.Constant($"{node.Outputs[0]!.Name}/{attribute}", TensorData.From<float>(values, values.Length)));
        node.Unset(attribute);
    }

    /// <summary>Of two operands the second one lay along the first one's axes from <c>axis</c> on, and along the last
    /// ones without it; one element went with everything.</summary>
    private static void AlongAxis(Node node, Upgrade u)
    {
        if (node.Int("broadcast", 0) != 0 && node.Has("axis")) Align(node, u, node.Int("axis", -1));
        node.Unset("broadcast");
        node.Unset("axis");
    }

    /// <summary>Gives the second operand a dimension of 1 for each of the first one's axes behind it. A slope of PRelu
    /// of rank 1 lay along the channels, with one element along everything.</summary>
    private static void Align(Node node, Upgrade u, long axis)
    {
        if (node.In(0) is not Value x || node.In(1) is not Value y) return;
        if (y.Shape is Shape known && (known.Sizes?.All(d => d == 1) == true || (node.Is("PRelu") && known.Rank != 1))) return;
        if (x.Shape is Shape a && y.Shape is Shape b)
        {
            long behind = a.Rank - b.Rank - (axis < 0 ? axis + a.Rank : axis);
            if (behind <= 0) return;
            long[] axes = [.. Enumerable.Range(b.Rank, (int)behind).Select(i => (long)i)];
            node.Inputs[1] = u.Before(node, "Unsqueeze", y, u.Ints(node, "axes", axes));
            return;
        }
        if (axis < 0) return;
        // How many dimensions follow is known when the graph runs.
        Value one = u.Ints(node, "one", 1), none = u.Ints(node, "none", 0), shape = Count(u.Before(node, "Shape", y));
        Value rest = Count(u.Before(node, "Sub", Count(u.Before(node, "Shape", Count(u.Before(node, "Shape", x)))),
            Count(u.Before(node, "Shape", shape))));
        rest = Count(u.Before(node, "Max", Count(u.Before(node, "Sub", rest, u.Ints(node, "axis", axis))), none));
        Value ones = Count(u.Before(node, "Expand", one, rest)), target = Count(u.Before(node, "Concat", shape, ones));
        target.Producer!.Set("axis", 0);
        node.Inputs[1] = u.Before(node, "Reshape", y, target);
    }

    private static Value Count(Value value)
    {
        value.Type = ElementType.Int64;
        return value;
    }

    private static void Refuse(Node node, Upgrade u) => throw new ModelFormatException(
        $"Node {node.Label}: {node.OpType} was an experimental operator of the first opsets, whose meaning no runtime defines. Expected "
        + "an operator of the ONNX standard; export the model again with opset 7 or later.");

    /// <summary>The other outputs are of use in training only; without it they are what the node was given.</summary>
    private static void TestForm(Node node, Upgrade u)
    {
        bool test = node.Int("is_test", 0) != 0;
        node.Unset("is_test");
        for (int i = node.Outputs.Count - 1; test && i > 0; i--)
        {
            if (node.Outputs[i] is Value statistic) u.NewNode("Identity", [node.In(i % 2 == 1 ? 3 : 4)], statistic, u.After);
            node.Outputs.RemoveAt(i);
        }
    }

    /// <summary>With <c>spatial = 0</c> each pixel of each channel was a channel of its own.</summary>
    private static void NotSpatial(Node node, Upgrade u)
    {
        bool pixels = node.Int("spatial", 1) == 0;
        node.Unset("spatial");
        Value x = node.Inputs[0]!, y = node.Outputs[0]!;
        if (!pixels || x.Shape?.Rank <= 2) return;
        Value all = u.Ints(node, "all", -1), shape = Count(u.Before(node, "Shape", x)), flat = u.Before(node, "Flatten", x);
        node.Inputs[0] = flat;
        for (int i = 1; i < 5; i++) node.Inputs[i] = u.Before(node, "Reshape", node.Inputs[i], all);
        for (int i = 1; i < node.Outputs.Count; i++)
        {
            if (node.Outputs[i] is not Value statistic) continue;
            Value like = node.Inputs[i % 2 == 1 ? 3 : 4]!.Producer!.Inputs[0]!;
            Value target = u.NewValue($"{statistic.Name}/shape", like), vector = u.NewValue($"{statistic.Name}/flat", like);
            u.NewNode("Shape", [like], Count(target), u.After);
            u.NewNode("Reshape", [vector, target], statistic, u.After);
            node.Outputs[i] = vector;
            vector.Producer = node;
        }
        Value result = u.NewValue($"{y.Name}/flat", x);
        node.Outputs[0] = result;
        result.Producer = node;
        u.NewNode("Reshape", [result, shape], y, u.After);
    }

    /// <summary>A number since 6; a name of <c>TensorProto.DataType</c> before.</summary>
    private static void TypeByName(Node node, Upgrade u)
    {
        if (!node.Attributes.TryGetValue("to", out object? to) || to is not byte[]) return;
        string name = node.Text("to", "");
        if (!Enum.TryParse(name, ignoreCase: true, out ElementType type) || type == ElementType.Undefined)
        {
            throw new ModelFormatException($"Node {node.Label}: attribute 'to' is '{name}'; expected a name of TensorProto.DataType, "
                + "such as FLOAT. Export the model again, or check it with onnx.checker.");
        }
        node.Set("to", (long)type);
    }

    /// <summary>Before 7 an attribute said that the node is no training form; without it the node drops while
    /// training.</summary>
    private static void DropsUnlessTest(Node node, Upgrade u)
    {
        if (node.Int("is_test", 0) == 0) SetInput(node, 2, u.Constant($"{node.Outputs[0]!.Name}/training", TensorData.Scalar(true)));
        node.Unset("is_test");
    }

    /// <summary>The power of a norm was a FLOAT.</summary>
    private static void WholePower(Node node, Upgrade u)
    {
        if (!node.Attributes.TryGetValue("p", out object? p) || p is not float power) return;
        if (power != MathF.Floor(power))
        {
            throw new ModelFormatException($"Node {node.Label}: the power of its norm is {power}; expected a whole number, which "
                + "later opsets have. Export the model again with opset 7 or later.");
        }
        node.Set("p", (long)power);
    }

    /// <summary>Over the pixels of a channel, or of all channels, of one example; later over the batch too.</summary>
    private static void OverPixels(Node node, Upgrade u)
    {
        long[] axes = node.Int("across_channels", 0) != 0 ? [1, 2, 3] : [2, 3];
        bool scaled = node.Int("normalize_variance", 1) != 0;
        node.Unset("across_channels");
        node.Unset("normalize_variance");
        if (scaled)
        {
            node.Set("axes", axes);
            return;
        }
        Become(node, "Sub", node.Inputs[0], u.Before(node, "ReduceMean", node.Inputs[0], u.Ints(node, "axes", axes)));
    }

    /// <summary>Lengths, and counts of copies, were of the data's own type.</summary>
    private static void WholeNumbers(Node node, Upgrade u, int input)
    {
        if (node.In(input) is not Value value || value.Type == ElementType.Int64) return;
        node.Inputs[input] = value.Data is TensorData data
            ? u.Constant($"{node.Outputs[0]!.Name}/{value.Name}", NumberTensors.Of(ElementType.Int64, data.ToDoubles(),
                [.. data.Dimensions])) : ToInt64(node, u, value);
    }

    private static Value ToInt64(Node node, Upgrade u, Value value)
    {
        Value cast = Count(u.Before(node, "Cast", value));
        cast.Producer!.Set("to", (long)ElementType.Int64);
        return cast;
    }

    /// <summary>Some copies along one axis, one after the other.</summary>
    private static void TileOneAxis(Node node, Upgrade u)
    {
        if (node.Inputs.Count < 3) return;
        if (node.In(1)?.Data is not TensorData tiles || node.In(2)?.Data is not TensorData axis)
        {
            throw new ModelFormatException($"Node {node.Label}: the number of copies or their axis is computed by the model. Expected "
                + "constants, since opset 6 has another form of Tile; export the model again with opset 7 or later.");
        }
        int copies = (int)tiles.ToDoubles()[0];
        long along = (long)axis.ToDoubles()[0];
        Become(node, "Concat", [.. Enumerable.Repeat(node.Inputs[0], copies)]);
        node.Set("axis", along);
    }

    /// <summary>One factor for the width and one for the height, of images.</summary>
    private static void WidthAndHeight(Node node, Upgrade u)
    {
        if (node.Has("height_scale") || node.Has("width_scale"))
            node.Set("scales", new[] { 1, 1, node.Float("height_scale", 1), node.Float("width_scale", 1) });
        node.Unset("height_scale");
        node.Unset("width_scale");
        if (node.Text("mode", "nearest") == "bilinear") node.Set("mode", "linear");
    }

    /// <summary>The attribute's numbers, as a constant of its shape.</summary>
    private static void GivenTensorFill(Node node, Upgrade u)
    {
        if (node.In(0) is not null || node.Floats("values") is not float[] values)
        {
            throw new ModelFormatException($"Node {node.Label}: expected values and a shape as attributes, without an input. "
                + "Put the tensor among the initializers, or export the model again with opset 7 or later.");
        }
        long[] dims = [.. node.Ints("shape") ?? [values.Length], .. node.Ints("extra_shape") ?? []];
        Become(node, "Identity", u.Constant($"{node.Outputs[0]!.Name}/values", TensorData.From<float>(values, dims)));
    }

    /// <summary>One number, in the shape of an attribute, of the input's elements, or of the input.</summary>
    private static void ConstantFill(Node node, Upgrade u)
    {
        TensorData value = NumberTensors.Of((ElementType)node.Int("dtype", 1), [node.Float("value", 0)], 1);
        long[] extra = node.Ints("extra_shape") ?? [];
        bool asShape = node.Int("input_as_shape", 0) != 0;
        if (node.In(0) is not Value input)
        {
            Become(node, "ConstantOfShape", u.Ints(node, "shape", [.. node.Ints("shape") ?? [], .. extra]));
        }
        else
        {
            Value shape = asShape ? ToInt64(node, u, input) : Count(u.Before(node, "Shape", input));
            if (extra.Length > 0)
            {
                shape = Count(u.Before(node, "Concat", shape, u.Ints(node, "extra", extra)));
                shape.Producer!.Set("axis", 0);
            }
            Become(node, "ConstantOfShape", shape);
        }
        node.Set("value", value);
    }
}
