namespace OrtCpr.Graph.Ir;

public sealed partial class GraphBuilder
{
    /// <summary>ONNX Add.</summary>
    public Term Add(Value a, Value b) => Op("Add", [a, b]);

    /// <summary>ONNX Sub.</summary>
    public Term Sub(Value a, Value b) => Op("Sub", [a, b]);

    /// <summary>ONNX Mul.</summary>
    public Term Mul(Value a, Value b) => Op("Mul", [a, b]);

    /// <summary>ONNX Div.</summary>
    public Term Div(Value a, Value b) => Op("Div", [a, b]);

    /// <summary>ONNX Add with a constant of the same type.</summary>
    public Term Add(Value a, double b) => Add(a, Scalar(b, a.Type));

    /// <summary>ONNX Sub with a constant of the same type.</summary>
    public Term Sub(Value a, double b) => Sub(a, Scalar(b, a.Type));

    /// <summary>ONNX Sub from a constant of the same type.</summary>
    public Term Sub(double a, Value b) => Sub(Scalar(a, b.Type), b);

    /// <summary>ONNX Mul with a constant of the same type.</summary>
    public Term Mul(Value a, double b) => Mul(a, Scalar(b, a.Type));

    /// <summary>ONNX Div by a constant of the same type.</summary>
    public Term Div(Value a, double b) => Div(a, Scalar(b, a.Type));

    /// <summary>ONNX Div of a constant of the same type.</summary>
    public Term Div(double a, Value b) => Div(Scalar(a, b.Type), b);

    /// <summary>ONNX Pow.</summary>
    public Term Pow(Value a, Value b) => Op("Pow", [a, b]);

    /// <summary>ONNX Pow with a constant of the same type.</summary>
    public Term Pow(Value a, double b) => Pow(a, Scalar(b, a.Type));

    /// <summary>ONNX Neg.</summary>
    public Term Neg(Value a) => Op("Neg", [a]);

    /// <summary>ONNX Abs.</summary>
    public Term Abs(Value a) => Op("Abs", [a]);

    /// <summary>ONNX Sign.</summary>
    public Term Sign(Value a) => Op("Sign", [a]);

    /// <summary>ONNX Sqrt.</summary>
    public Term Sqrt(Value a) => Op("Sqrt", [a]);

    /// <summary>ONNX Exp.</summary>
    public Term Exp(Value a) => Op("Exp", [a]);

    /// <summary>ONNX Log.</summary>
    public Term Log(Value a) => Op("Log", [a]);

    /// <summary>ONNX Tanh.</summary>
    public Term Tanh(Value a) => Op("Tanh", [a]);

    /// <summary>ONNX Sigmoid.</summary>
    public Term Sigmoid(Value a) => Op("Sigmoid", [a]);

    /// <summary>ONNX Erf.</summary>
    public Term Erf(Value a) => Op("Erf", [a]);

    /// <summary>ONNX Reciprocal.</summary>
    public Term Reciprocal(Value a) => Op("Reciprocal", [a]);

    /// <summary>ONNX Identity.</summary>
    public Term Identity(Value a) => Op("Identity", [a]);

    /// <summary>ONNX Max of two.</summary>
    public Term Max(Value a, Value b) => Op("Max", [a, b]);

    /// <summary>ONNX Max with a constant of the same type.</summary>
    public Term Max(Value a, double b) => Max(a, Scalar(b, a.Type));

    /// <summary>ONNX Min of two.</summary>
    public Term Min(Value a, Value b) => Op("Min", [a, b]);

    /// <summary>ONNX Min with a constant of the same type.</summary>
    public Term Min(Value a, double b) => Min(a, Scalar(b, a.Type));

    /// <summary>ONNX Equal.</summary>
    public Term Equal(Value a, Value b) => Op("Equal", [a, b]);

    /// <summary>ONNX Equal with a constant of the same type.</summary>
    public Term Equal(Value a, double b) => Equal(a, Scalar(b, a.Type));

    /// <summary>ONNX Less.</summary>
    public Term Less(Value a, Value b) => Op("Less", [a, b]);

    /// <summary>ONNX Less with a constant of the same type.</summary>
    public Term Less(Value a, double b) => Less(a, Scalar(b, a.Type));

    /// <summary>ONNX Less of a constant of the same type.</summary>
    public Term Less(double a, Value b) => Less(Scalar(a, b.Type), b);

    /// <summary>ONNX Greater.</summary>
    public Term Greater(Value a, Value b) => Op("Greater", [a, b]);

    /// <summary>ONNX Greater with a constant of the same type.</summary>
    public Term Greater(Value a, double b) => Greater(a, Scalar(b, a.Type));

    /// <summary>ONNX Greater of a constant of the same type.</summary>
    public Term Greater(double a, Value b) => Greater(Scalar(a, b.Type), b);

    /// <summary>ONNX GreaterOrEqual.</summary>
    public Term GreaterOrEqual(Value a, Value b) => Op("GreaterOrEqual", [a, b]);

    /// <summary>ONNX GreaterOrEqual with a constant of the same type.</summary>
    public Term GreaterOrEqual(Value a, double b) => GreaterOrEqual(a, Scalar(b, a.Type));

    /// <summary>ONNX GreaterOrEqual of a constant of the same type.</summary>
    public Term GreaterOrEqual(double a, Value b) => GreaterOrEqual(Scalar(a, b.Type), b);

    /// <summary>ONNX LessOrEqual.</summary>
    public Term LessOrEqual(Value a, Value b) => Op("LessOrEqual", [a, b]);

    /// <summary>ONNX LessOrEqual with a constant of the same type.</summary>
    public Term LessOrEqual(Value a, double b) => LessOrEqual(a, Scalar(b, a.Type));

    /// <summary>ONNX LessOrEqual of a constant of the same type.</summary>
    public Term LessOrEqual(double a, Value b) => LessOrEqual(Scalar(a, b.Type), b);

    /// <summary>ONNX And.</summary>
    public Term And(Value a, Value b) => Op("And", [a, b]);

    /// <summary>ONNX Or.</summary>
    public Term Or(Value a, Value b) => Op("Or", [a, b]);

    /// <summary>ONNX Not.</summary>
    public Term Not(Value a) => Op("Not", [a]);

    /// <summary>ONNX Where: <paramref name="a"/> where the condition holds, else <paramref name="b"/>.</summary>
    public Term Where(Value condition, Value a, Value b) => Op("Where", [condition, a, b]);

    /// <summary>ONNX Where: <paramref name="a"/> where the condition holds, else a constant of its type.</summary>
    public Term Where(Value condition, Value a, double b) => Where(condition, a, Scalar(b, a.Type));

    /// <summary>ONNX Where: a constant where the condition holds, else <paramref name="b"/>, whose type it has.</summary>
    public Term Where(Value condition, double a, Value b) => Where(condition, Scalar(a, b.Type), b);

    /// <summary>ONNX Cast; nothing when the value has that type already.</summary>
    public Term Cast(Value a, ElementType to) => a.Type == to ? Term(a) : Op("Cast", [a], ("to", (long)to));

    /// <summary>ONNX Reshape with zeros meaning zero (allowzero = 1) only when the target can hold any.</summary>
    public Term Reshape(Value a, Value target) =>
        target.ConstantIntegers is long[] dims && !dims.Contains(0) ? Op("Reshape", [a, target])
        : Op("Reshape", [a, target], ("allowzero", 1));

    /// <summary>ONNX Reshape to constants; -1 once for the rest.</summary>
    public Term Reshape(Value a, params long[] dims) => Op("Reshape", [a, Ints(dims)]);

    /// <summary>ONNX Transpose. Two in a row become one, one that changes nothing none, and one after a Gemm exchanges
    /// its operands.</summary>
    public Term Transpose(Value a, params long[] perm)
    {
        if (a.Producer is Node { OpType: "Transpose", Domain: "" } inner && inner.Ints("perm") is long[] first)
            return Transpose(inner.Inputs[0]!, [.. perm.Select(p => first[p])]);
        if (perm is [1, 0] && a.Producer is Node { OpType: "Gemm", Domain: "" } product && product.In(2) is null)
        {
            return Gemm(product.Inputs[1]!, product.Inputs[0]!, product.Int("transB", 0) == 0, product.Int("transA", 0) == 0, product.Float(
                "alpha", 1));
        }
        return perm.Select((p, i) => p == i).All(same => same) ? Term(a) : Op("Transpose", [a], ("perm", perm));
    }

    /// <summary>Swaps the last two axes; the rank must be known.</summary>
    public Term TransposeLast(Value a)
    {
        int rank = a.Shape!.Rank;
        long[] perm = Enumerable.Range(0, rank).Select(i => (long)i).ToArray();
        (perm[rank - 2], perm[rank - 1]) = (perm[rank - 1], perm[rank - 2]);
        return Transpose(a, perm);
    }

    /// <summary>ONNX MatMul.</summary>
    public Term MatMul(Value a, Value b) => Op("MatMul", [a, b]);

    /// <summary>op(a) · op(b), where op may swap the last two axes: Gemm for two matrices, else com.microsoft FusedMatMul, which saves the
    /// transposed copy, or Transpose and MatMul for types that FusedMatMul has no CPU kernel for. Ranks of 2 or more.</summary>
    public Term MatMul(Value a, Value b, bool transA, bool transB, float alpha = 1)
    {
        (a, transA) = WithoutTranspose(a, transA);
        (b, transB) = WithoutTranspose(b, transB);
        if (a.Shape is { Rank: 2 } && b.Shape is { Rank: 2 }) return Gemm(a, b, transA, transB, alpha);
        if (!transA && !transB && alpha == 1) return MatMul(a, b);
        if (a.Type == ElementType.Float)
            return Op("com.microsoft.FusedMatMul", [a, b], ("transA", transA), ("transB", transB), ("alpha", alpha));
        Term product = MatMul(transA ? TransposeLast(a) : a, transB ? TransposeLast(b) : b);
        return alpha == 1 ? product : product * alpha;
    }

    private static (Value, bool) WithoutTranspose(Value a, bool transposed)
    {
        if (a.Producer is not Node { OpType: "Transpose", Domain: "" } node || a.Shape is not Shape shape || shape.Rank < 2)
            return (a, transposed);
        int rank = shape.Rank;
        long[] perm = node.Ints("perm") ?? [.. Enumerable.Range(0, rank).Reverse().Select(i => (long)i)];
        bool swapsLast = perm[rank - 1] == rank - 2 && perm[rank - 2] == rank - 1 && Enumerable.Range(0, rank - 2).All(i => perm[i] == i);
        return swapsLast ? (node.Inputs[0]!, !transposed) : (a, transposed);
    }

    /// <summary>ONNX Gemm without a bias, both operands of rank 2: alpha · op(a) · op(b).</summary>
    public Term Gemm(Value a, Value b, bool transA = false, bool transB = false, float alpha = 1) =>
        Op("Gemm", [a, b], ("alpha", alpha), ("transA", transA), ("transB", transB));

    /// <summary>ONNX Squeeze of given axes.</summary>
    public Term Squeeze(Value a, params long[] axes) => Op("Squeeze", [a, Ints(axes)]);

    /// <summary>ONNX Unsqueeze at given axes.</summary>
    public Term Unsqueeze(Value a, params long[] axes) => Op("Unsqueeze", [a, Ints(axes)]);

    /// <summary>ONNX Concat.</summary>
    public Term Concat(int axis, params ReadOnlySpan<Value> values)
    {
        var inputs = new Value?[values.Length];
        for (int i = 0; i < values.Length; i++) inputs[i] = values[i];
        return Op("Concat", inputs, ("axis", axis));
    }

    /// <summary>ONNX Gather.</summary>
    public Term Gather(Value data, Value indices, int axis = 0) => Op("Gather", [data, indices], ("axis", axis));

    /// <summary>ONNX Slice with constant bounds and step 1.</summary>
    public Term Slice(Value a, long[] starts, long[] ends, long[] axes) => Op("Slice", [a, Ints(starts), Ints(ends), Ints(axes)]);

    /// <summary>ONNX ReduceSum over given axes; over all when none is given.</summary>
    public Term ReduceSum(Value a, bool keepDims, params long[] axes) => Reduce("ReduceSum", a, keepDims, axes);

    /// <summary>ONNX ReduceMean over given axes; over all when none is given.</summary>
    public Term ReduceMean(Value a, bool keepDims, params long[] axes) => Reduce("ReduceMean", a, keepDims, axes);

    /// <summary>One of the ONNX Reduce operators; over all axes when none is given.</summary>
    public Term Reduce(string op, Value a, bool keepDims, params long[] axes) =>
        axes.Length == 0 ? Op(op, [a], ("keepdims", keepDims)) : Op(op, [a, Ints(axes)], ("keepdims", keepDims));

    /// <summary>ONNX Softmax.</summary>
    public Term Softmax(Value a, int axis) => Op("Softmax", [a], ("axis", axis));

    /// <summary>ONNX LogSoftmax.</summary>
    public Term LogSoftmax(Value a, int axis) => Op("LogSoftmax", [a], ("axis", axis));
}
