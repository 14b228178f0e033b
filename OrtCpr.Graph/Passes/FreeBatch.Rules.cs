using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>What the fixed size stands for in constants, operator by operator, and where the examples of a batch would
/// be mixed.</summary>
internal sealed partial class FreeBatch
{
    private static readonly HashSet<string> OverAxis = new(StringComparer.Ordinal)
        { "Softmax", "LogSoftmax", "Hardmax", "ArgMax", "ArgMin", "TopK", "LpNormalization" };

    private static readonly HashSet<string> OverImages = new(StringComparer.Ordinal)
    {
        "Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool",
        "BatchNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "DepthToSpace", "SpaceToDepth",
    };

    private void Rewrite(GraphBuilder g, Node node)
    {
        if (node.Domain.Length > 0) return;
        switch (node.OpType)
        {
            case "Reshape": Reshape(g, node); return;
            case "Squeeze": Squeeze(g, node); return;
            case "Expand": Expand(g, node); return;
            case "Slice": Slice(g, node); return;
            case "Split": Split(node); return;
            case "Resize": Resize(g, node); return;
            case "Concat": Agree(g, node, node.Inputs.Count, node.Int("axis", 0)); return;
            case "GatherElements": Agree(g, node, 2, node.Int("axis", 0)); return;
            case "ScatterElements": Agree(g, node, 3, node.Int("axis", 0)); return;
            case "LSTM" or "GRU" or "RNN": Recurrence(g, node); return;
            case "MatMul": Contract(g, node, 2); return;
            case "Gemm": Gemm(g, node); return;
            case "Gather": RefuseAlong(node, node.Int("axis", 0), "picks examples of the batch"); return;
            case "CumSum":
                RefuseAlong(node, _known.Constants(node.In(1)) is [long along] ? along : 0, "adds the examples of a batch up");
                return;
            default: break;
        }
        if (node.Has(Trait.Broadcast)) Broadcast(g, node, 0);
        else if (node.Has(Trait.Reduces)) Reduce(node);
        else if (OverAxis.Contains(node.OpType))
            RefuseAlong(node, node.Int("axis", IsArg(node) ? 0 : -1), "goes over the examples of a batch");
        else if (node.Is("LayerNormalization")) LayerNormalization(node);
        else if (OverImages.Contains(node.OpType) && node.In(0) is Value x && AxisOf(x) is > 0 and int at)
            throw new Refusal(node, $"has the batch on axis {at} of '{x.Name}' {x.Shape}, where its channels or pixels are");
    }

    private static bool IsArg(Node node) => node.OpType is "ArgMax" or "ArgMin";

    private void RefuseAlong(Node node, long axis, string what)
    {
        if (node.In(0) is { Shape: Shape shape } x && AxisOf(x) is int at && shape.Axis(axis) == at) throw new Refusal(node, what);
    }

    private void Reduce(Node node)
    {
        if (node.In(0) is not Value x || AxisOf(x) is not int at) return;
        long[] axes = node.In(1) is null ? node.Ints("axes") ?? [] : _known.Constants(node.In(1)) ?? [];
        bool all = axes.Length == 0 && node.Int("noop_with_empty_axes", 0) == 0;
        if (all || axes.Any(a => x.Shape!.Axis(a) == at))
            throw new Refusal(node, $"goes over the batch, axis {at} of '{x.Name}' {x.Shape}");
    }

    private void LayerNormalization(Node node)
    {
        if (node.In(0) is Value x && AxisOf(x) is int at && at >= x.Shape!.Axis(node.Int("axis", -1)))
            throw new Refusal(node, "normalises over the examples of a batch");
    }

    /// <summary>A target written for the fixed size: the examples stay as far apart as they are, which tells the
    /// dimension that they are in.</summary>
    private void Reshape(GraphBuilder g, Node node)
    {
        if (node.In(0) is not Value x || Stride(x) is not SymbolicInt stride || _old.GetValueOrDefault(node.Outputs[0]!) is not Shape old
            || _known.Integers(node.In(1)) is not { } target || target.Length != old.Rank
            || target.Any(t => t is null || Holds(t)) || old.Any(d => d.Size is null || d.Known == 0))
        {
            return;
        }
        int[] places = [.. Candidates(old, stride)];
        int[] own = [.. places.Where(j => old[j].SurelyEquals(_fixed) && Behind(old, j).Equals(stride))];
        if (places.Length == 0)
        {
            throw new Refusal(node,
                $"has the constant shape [{string.Join(',', target.Select(t => t!.ToString()))}], in which the batch of "
                + $"'{x.Name}' {x.Shape} has no dimension");
        }
        // A dimension of its own, where it was before if it can; else together with the features of another.
        int axis = own.Length > 0 ? (own.Contains(AxisOf(x)!.Value) ? AxisOf(x)!.Value : own[0]) : places[0];
        Dim grown = SymbolicInt.Exact(old[axis].Size!, _fixed)! * _batch;
        Shape wanted = old.With(axis, grown);
        _inner[node.Outputs[0]!] = SymbolicInt.Exact(stride, Behind(old, axis))!;
        // Open where the batch is, and numbers elsewhere: right as it is.
        if (target[axis]!.Constant == -1 && target.Where((_, i) => i != axis).All(t => t!.Constant > 0)) return;
        node.Unset("allowzero");
        if (Shape.ReshapeTarget(x.Shape!, wanted) is long[] constant)
        {
            if (!constant.Select(SymbolicInt.Of).SequenceEqual(target)) node.Inputs[1] = g.Ints(constant);
        }
        else
        {
            // A second dimension is open: the target is computed.
            Value[] parts = [.. target.Select((t, i) => i == axis ? Times(g, SymbolicInt.Exact(old[axis].Size!, _fixed)!)
                : g.Ints(t!.Constant ?? throw new Refusal(node, "has a shape with a dimension that is computed")))];
            node.Inputs[1] = g.Op("Concat", parts, ("axis", 0));
        }
    }

    /// <summary>The number of examples times a known number.</summary>
    private Value Times(GraphBuilder g, SymbolicInt factor) => factor.Constant is not long k
        ? throw new Refusal("a shape multiplies the batch by a dimension that is not known")
        : k == 1 ? Count(g) : g.Op("Mul", [Count(g), g.Ints(k)]);

    /// <summary>Dimensions of a shape that hold whole steps of this stride, the batch's own first.</summary>
    private IEnumerable<int> Candidates(Shape old, SymbolicInt stride) => Enumerable.Range(0, old.Rank).Where(j =>
        SymbolicInt.Exact(stride, Behind(old, j)) is not null
        && SymbolicInt.Exact(Behind(old, j) * old[j].Size!, stride * _fixed) is not null);

    private void Squeeze(GraphBuilder g, Node node)
    {
        if (node.In(0) is not Value x || AxisOf(x) is not int at) return;
        bool single = _old.GetValueOrDefault(x)?[at].Known == 1;
        if (node.In(1) is null)
        {
            if (single) throw new Refusal(node, $"takes the batch's dimension off '{x.Name}' {x.Shape}");
            int[] ones = [.. Enumerable.Range(0, x.Shape!.Rank).Where(i => i != at && x.Shape[i].Known == 1)];
            node.Inputs.Add(g.Ints([.. ones.Select(i => (long)i)]));
        }
        else if (_known.Constants(node.In(1)) is long[] axes && axes.Any(a => x.Shape!.Axis(a) == at))
        {
            throw new Refusal(node, $"takes the batch's dimension off '{x.Name}' {x.Shape}");
        }
    }

    /// <summary>1 keeps the dimension that comes in.</summary>
    private void Expand(GraphBuilder g, Node node)
    {
        if (node.In(0) is not Value x || AxisOf(x) is not int at || _known.Constants(node.In(1)) is not long[] target) return;
        int place = at + target.Length - x.Shape!.Rank;
        if (place < 0 || target[place] == 1) return;
        if (_old.GetValueOrDefault(x)?[at].Known != target[place])
            throw new Refusal(node, $"expands the batch, axis {at} of '{x.Name}' {x.Shape}, to {target[place]}");
        long[] free = [.. target];
        free[place] = 1;
        node.Inputs[1] = g.Ints(free);
    }

    /// <summary>A slice that took the whole fixed batch takes the whole of any.</summary>
    private void Slice(GraphBuilder g, Node node)
    {
        if (node.In(0) is not Value x || AxisOf(x) is not int at) return;
        if (_singles.Contains(node.Outputs[0]!))
        {
            node.OpType = "Identity";
            while (node.Inputs.Count > 1) node.Inputs.RemoveAt(1);
            return;
        }
        if (_known.Constants(node.In(1)) is not long[] starts || _known.Constants(node.In(2)) is not long[] ends) return;
        long[]? axes = node.In(3) is null ? [.. Enumerable.Range(0, starts.Length).Select(i => (long)i)] : _known.Constants(node.In(3));
        int k = axes is null ? -1 : Array.FindIndex(axes, a => x.Shape!.Axis(a) == at);
        if (k < 0) return;
        bool forward = node.In(4) is null || _known.Constants(node.In(4))?[k] == 1;
        Shape? before = _old.GetValueOrDefault(x), after = _old.GetValueOrDefault(node.Outputs[0]!);
        if (!forward || before is null || after is null || !before[at].SurelyEquals(after[at]))
            throw new Refusal(node, $"takes a part of the batch, axis {at} of '{x.Name}' {x.Shape}");
        if (starts[k] == 0 && ends[k] >= int.MaxValue) return;
        (starts[k], ends[k]) = (0, long.MaxValue);
        node.Inputs[1] = g.Ints(starts);
        node.Inputs[2] = g.Ints(ends);
    }

    private void Split(Node node)
    {
        if (node.In(0) is not Value x || AxisOf(x) is not int at || x.Shape!.Axis(node.Int("axis", 0)) != at) return;
        if (node.Outputs.Count > 1) throw new Refusal(node, $"takes the batch apart, axis {at} of '{x.Name}' {x.Shape}");
        while (node.Inputs.Count > 1) node.Inputs.RemoveAt(1);
        node.Set("num_outputs", 1);
    }

    private void Resize(GraphBuilder g, Node node)
    {
        if (node.In(0) is not Value x || AxisOf(x) is not int at || _known.Constants(node.In(3)) is not long[] sizes) return;
        int place = node.Ints("axes") is long[] axes ? Array.FindIndex(axes, a => x.Shape!.Axis(a) == at) : at;
        if (place < 0) return;
        SymbolicInt times = SymbolicInt.Exact(x.Shape![at].Size!, _batch)!;
        Value[] parts = [.. sizes.Select((s, i) => i == place ? Times(g, times) : g.Ints(s))];
        node.Inputs[3] = g.Op("Concat", parts, ("axis", 0));
    }

    /// <summary>Operands that have to be of one size in all axes but one.</summary>
    private void Agree(GraphBuilder g, Node node, int operands, long axis)
    {
        Value? with = node.Inputs.FirstOrDefault(i => i is not null && AxisOf(i) is not null);
        if (with is null || AxisOf(with) is not int at || with.Shape!.Axis(axis) == at) return;
        for (int i = 0; i < Math.Min(operands, node.Inputs.Count); i++)
        {
            if (node.Inputs[i] is Value value && !Depends(value)) node.Inputs[i] = Widen(g, node, value, at);
        }
    }

    private void Recurrence(GraphBuilder g, Node node)
    {
        if (node.In(0) is not Value x || AxisOf(x) is not int at) return;
        if (at != 1 || !x.Shape![1].SurelyEquals(_batch))
        {
            throw new Refusal(node, $"has the batch on axis {at} of '{x.Name}' {x.Shape}; it belongs on axis 1")
            { TimeFirst = at == 0 && _source.Axis == 0 };
        }
        foreach ((int input, int axis) in new[] { (4, 0), (5, 1), (6, 1) })
        {
            if (input == 6 && !node.Is("LSTM")) continue;
            if (node.In(input) is Value state && !Depends(state)) node.Inputs[input] = Widen(g, node, state, axis);
        }
    }

    private void Contract(GraphBuilder g, Node node, int behind)
    {
        if (node.In(0) is not Value a || node.In(1) is not Value b) return;
        if ((AxisOf(a) is int left && left == a.Shape!.Rank - 1) || (AxisOf(b) is int right && right == Math.Max(0, b.Shape!.Rank - 2)))
            throw new Refusal(node, $"adds over the batch: '{a.Name}' {a.Shape} times '{b.Name}' {b.Shape}");
        Broadcast(g, node, behind);
    }

    private void Gemm(GraphBuilder g, Node node)
    {
        if (node.In(0) is not Value a || node.In(1) is not Value b) return;
        int rows = node.Int("transA", 0) != 0 ? 1 : 0, columns = node.Int("transB", 0) != 0 ? 0 : 1;
        if ((AxisOf(a) is int left && left != rows) || (AxisOf(b) is int right && right != columns))
            throw new Refusal(node, $"adds over the batch: '{a.Name}' {a.Shape} times '{b.Name}' {b.Shape}");
        if (AxisOf(a) is not null && node.In(2) is { Shape: { Rank: 2 } c } bias && c[0].Known is > 1 && !Depends(bias))
            node.Inputs[2] = Single(g, node, bias, 0);
    }

    /// <summary>Operands go with the batch when they have one row for it. <c>behind</c>: axes at the end that do not
    /// take part.</summary>
    private void Broadcast(GraphBuilder g, Node node, int behind)
    {
        int fromEnd = node.Inputs.OfType<Value>().Select(v => AxisOf(v) is int a ? v.Shape!.Rank - a : 0).Max();
        if (fromEnd <= behind) return;
        for (int i = 0; i < node.Inputs.Count; i++)
        {
            if (node.Inputs[i] is not { Shape: Shape shape } value || Depends(value) || shape.Rank < fromEnd) continue;
            if (shape[shape.Rank - fromEnd].Known is > 1) node.Inputs[i] = Single(g, node, value, shape.Rank - fromEnd);
        }
    }

    private bool CanWiden(Value value, int axis) => value.Shape is Shape shape && axis < shape.Rank && shape[axis].SurelyEquals(_fixed);

    /// <summary>One row for each example.</summary>
    private Value Widen(GraphBuilder g, Node node, Value value, int axis)
    {
        if (!CanWiden(value, axis))
            throw new Refusal(node, $"reads '{value.Name}' {value.Shape}, whose axis {axis} is to have a row for each example");
        if (_widened.TryGetValue((g.Graph, value, axis), out Value? known)) return known;
        Value row = _fixed.Constant == 1 ? value : Single(g, node, value, axis);
        Value[] ones = [.. row.Shape!.Select((_, i) => i == axis ? Count(g) : g.Ints(1))];
        return _widened[(g.Graph, value, axis)] = g.Op("Expand", [row, ones.Length == 1 ? ones[0] : g.Op("Concat", ones, ("axis", 0))]);
    }

    /// <summary>The one row that stands for all examples.</summary>
    private Value Single(GraphBuilder g, Node node, Value value, int axis)
    {
        if (!value.Shape![axis].SurelyEquals(_fixed))
            throw new Refusal(node, $"reads '{value.Name}' {value.Shape}, whose axis {axis} meets the batch");
        if (value.Data is not TensorData data)
        {
            Value row = g.Op("Slice", [value, g.Ints(0), g.Ints(1), g.Ints(axis)]);
            _singles.Add(row);
            return row;
        }
        long rows = data.Dimensions[axis];
        int block = data.Bytes.Length / (int)data.Dimensions.Take(axis + 1).Aggregate(1L, (p, d) => p * d);
        byte[] first = new byte[data.Bytes.Length / rows];
        ReadOnlySpan<byte> bytes = data.Bytes.Span;
        for (int i = 0; i < first.Length / block; i++)
        {
            ReadOnlySpan<byte> start = bytes.Slice(i * block * (int)rows, block);
            for (int r = 1; r < rows; r++)
            {
                if (!start.SequenceEqual(bytes.Slice(((i * (int)rows) + r) * block, block)))
                    throw new Refusal(node, $"reads the constant '{value.Name}' {value.Shape}, which has other numbers for each example");
            }
            start.CopyTo(first.AsSpan(i * block));
        }
        long[] dims = [.. data.Dimensions];
        dims[axis] = 1;
        return g.Graph.AddInitializer($"{value.Name}/one_example", TensorData.Create(data.Type, dims, first));
    }
}
