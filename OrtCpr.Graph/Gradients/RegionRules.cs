using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Regions of interest and deformed windows. Regions are constants: x alone has a gradient there. Along each axis a region is a matrix
// [regions, rows, size of x] of weights, and y[r] = Wy·x[batch of r]·Wxᵀ.
internal static class RegionRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["RoiAlign"] = ByDefinition.Rule(RoiAlign, inputs: 1),
        ["MaxRoiPool"] = ByDefinition.Rule(MaxRoiPool, inputs: 1),
        ["com.microsoft.CropAndResize"] = ByDefinition.Rule(CropAndResize, inputs: 1),
        ["DeformConv"] = ByDefinition.Rule(DeformConv),
    };

    // regions[:, column] as [regions, 1, 1].
    private static Value Column(GraphBuilder g, Value regions, int column) => g.Unsqueeze(g.Gather(regions, g.Ints(column), 1), -1);

    private static Value Range(GraphBuilder g, Value count, ElementType type) => g.Cast(g.Positions(count), type);

    private static Value OfRegions(GraphBuilder g, Value x, Value batch) =>
        g.Gather(x, GraphBuilder.Typed(g.Cast(batch, ElementType.Int64), ElementType.Int64, new Shape(Dim.Unknown)));

    private static Value Separable(GraphBuilder g, Value x, Value rows, Value columns)
    {
        Value high = GraphBuilder.Typed(g.Unsqueeze(rows, 1), x.Type, Four), wide = GraphBuilder.Typed(g.Unsqueeze(columns, 1), x.Type, Four);
        return g.MatMul(GraphBuilder.Typed(g.MatMul(high, x), x.Type, Four), wide, false, true);
    }

    private static Shape Four => new(Enumerable.Repeat(Dim.Unknown, 4));

    // Bilinear weights of positions over 0 … size - 1, which clamps them: [.., size].
    private static Value Weights(GraphBuilder g, Value at, Value size)
    {
        Value last = g.Sub(g.Cast(size, at.Type), 1), inside = g.Max(g.Min(at, last), g.Scalar(0, at.Type));
        Value distance = g.Abs(g.Sub(g.Unsqueeze(inside, -1), Range(g, size, at.Type)));
        return g.Max(g.Sub(1, distance), g.Scalar(0, at.Type));
    }

    // A grid of samples in each bin, outside of the image zeros. Their mean; or, in mode max, the largest share that one of the four pixels around a
    // sample has in it, which is what ONNX Runtime computes.
    private static Value RoiAlign(GraphBuilder g, Forward op)
    {
        Value x = op.In(0), own = OfRegions(g, x, op.In(2));
        (Value rows, Value countedRows) = Samples(g, op, 1, "output_height", g.DimOf(x, 2));
        (Value columns, Value countedColumns) = Samples(g, op, 0, "output_width", g.DimOf(x, 3));
        if (op.Node.Text("mode", "avg") == "avg")
            return Separable(g, own, Mean(g, rows, countedRows), Mean(g, columns, countedColumns));
        Value shares = Separable(g, own, Flat(g, rows), Flat(g, columns));
        Value high = g.Ints(op.Node.Int("output_height", 1)), wide = g.Ints(op.Node.Int("output_width", 1)), rest = g.Op("Shape", [rows], ("start", 2), ("end", 4)), other = g.Op("Shape", [columns], ("start", 2), ("end", 4));
        Value apart = g.Reshape(shares, g.Concat(0, g.Op("Shape", [shares], ("end", 2)), high, rest, wide, other));
        Value counts = g.And(g.Unsqueeze(countedRows, 1, 4, 5, 6, 7), g.Unsqueeze(countedColumns, 1, 2, 3, 4, 7));
        return g.Reduce("ReduceMax", g.Where(counts, apart, g.Scalar(float.MinValue, x.Type)), false, 3, 4, 6, 7);
    }

    private static Value Mean(GraphBuilder g, Value weights, Value counted) =>
        g.Div(g.Reduce("ReduceSum", g.Where(g.Unsqueeze(counted, -1, -2), weights, g.Scalar(0, weights.Type)), false, 2, 3),
            g.Unsqueeze(g.ReduceSum(g.Cast(counted, weights.Type), false, 2), -1));

    private static Value Flat(GraphBuilder g, Value weights) =>
        g.Reshape(weights, g.Concat(0, g.Op("Shape", [weights], ("end", 1)), g.Ints(-1), g.Op("Shape", [weights], ("start", -1))));

    // Along one axis: weights [regions, bins, samples, 2 pixels, size], and which samples count [regions, 1, samples].
    private static (Value Weights, Value Counted) Samples(GraphBuilder g, Forward op, int column, string bins, Value size)
    {
        double scale = op.Node.Float("spatial_scale", 1);
        bool half = op.Node.Text("coordinate_transformation_mode", "half_pixel") == "half_pixel";
        long count = op.Node.Int(bins, 1), ratio = op.Node.Int("sampling_ratio", 0);
        Value regions = op.In(1), zero = g.Scalar(0, regions.Type), one = g.Scalar(1, regions.Type);
        Value start = g.Sub(g.Mul(Column(g, regions, column), scale), half ? 0.5 : 0), extent = g.Sub(g.Sub(g.Mul(Column(g, regions, column + 2), scale), half ? 0.5 : 0), start);
        if (!half) extent = g.Max(extent, one);
        Value bin = g.Div(extent, count);
        // Without a ratio each region has as many samples as its bins have pixels; the others of the longest row count nothing.
        Value own = ratio > 0 ? g.Add(g.Mul(bin, 0), ratio) : g.Max(g.Op("Ceil", [bin]), one);
        Value most = ratio > 0 ? g.Ints(ratio) : g.Reshape(g.Cast(g.Reduce("ReduceMax", own, false), ElementType.Int64), 1);
        Value sample = Range(g, most, regions.Type), row = g.Unsqueeze(Range(g, g.Ints(count), regions.Type), 1), last = g.Sub(g.Cast(size, regions.Type), 1);
        Value at = g.Add(start, g.Mul(bin, g.Add(row, g.Div(g.Add(sample, 0.5), own))));
        Value visible = g.And(g.GreaterOrEqual(at, g.Scalar(-1, at.Type)), g.LessOrEqual(at, g.Cast(size, at.Type)));
        Value inside = g.Max(g.Min(at, last), zero), first = g.Op("Floor", [inside]), part = g.Sub(inside, first);
        Value Pixel(Value position, Value weight) => g.Unsqueeze(g.Where(g.Equal(g.Unsqueeze(position, -1), Range(g, size, at.Type)), g.Unsqueeze(g.Where(visible, weight, zero), -1), zero), 3);
        return (g.Concat(3, Pixel(first, g.Sub(1, part)), Pixel(g.Min(g.Add(first, 1), last), part)), g.Less(sample, own));
    }

    // The largest of each bin of whole pixels: first over rows, then over columns; 0 where a bin is empty.
    private static Value MaxRoiPool(GraphBuilder g, Forward op)
    {
        Value x = op.In(0), own = OfRegions(g, x, g.Squeeze(g.Gather(op.In(1), g.Ints(0), 1), 1)), low = g.Scalar(float.MinValue, x.Type);
        long[] bins = op.Node.Ints("pooled_shape")!;
        Value rows = Bins(g, op, 2, bins[0], g.DimOf(x, 2)), columns = Bins(g, op, 1, bins[1], g.DimOf(x, 3));
        Value high = g.Where(g.Unsqueeze(rows, 1, 4), g.Unsqueeze(own, 2), low);
        Value tall = g.Unsqueeze(g.Reduce("ReduceMax", high, false, 3), 3);
        Value y = g.Reduce("ReduceMax", g.Where(g.Unsqueeze(columns, 1, 2), tall, low), false, 4);
        return g.Where(g.Equal(y, low), g.Scalar(0, x.Type), y);
    }

    // [regions, bins, size]: which pixels a bin covers.
    private static Value Bins(GraphBuilder g, Forward op, int column, long bins, Value size)
    {
        double scale = op.Node.Float("spatial_scale", 1);
        Value Rounded(int c) => g.Op("Floor", [g.Add(g.Mul(Column(g, op.In(1), c), scale), 0.5)]);
        Value start = Rounded(column), extent = g.Max(g.Add(g.Sub(Rounded(column + 2), start), 1), g.Scalar(1, start.Type)), bin = g.Div(extent, bins);
        Value row = g.Unsqueeze(Range(g, g.Ints(bins), start.Type), 1), pixel = Range(g, size, start.Type);
        Value from = g.Add(g.Op("Floor", [g.Mul(row, bin)]), start), to = g.Add(g.Op("Ceil", [g.Mul(g.Add(row, 1), bin)]), start);
        return g.And(g.GreaterOrEqual(pixel, from), g.Less(pixel, to));
    }

    // Regions are [y1, x1, y2, x2] in parts of the image; outside of it the extrapolation value, a constant.
    private static Value CropAndResize(GraphBuilder g, Forward op)
    {
        Value x = op.In(0);
        return Separable(g, OfRegions(g, x, op.In(2)), Cropped(g, op, 0, g.DimOf(x, 2)), Cropped(g, op, 1, g.DimOf(x, 3)));
    }

    private static Value Cropped(GraphBuilder g, Forward op, int column, Value size)
    {
        Value first = Column(g, op.In(1), column), second = Column(g, op.In(1), column + 2), last = g.Sub(g.Cast(size, first.Type), 1);
        Value count = g.Gather(g.Cast(op.In(3), ElementType.Int64), g.Ints(column)), steps = g.Sub(g.Cast(count, first.Type), 1);
        Value part = g.Div(Range(g, count, first.Type), g.Max(steps, g.Scalar(1, first.Type)));
        Value spread = g.Mul(g.Add(first, g.Mul(g.Sub(second, first), part)), last), centre = g.Mul(g.Mul(g.Add(first, second), 0.5), last);
        Value at = g.Squeeze(g.Where(g.Greater(steps, g.Scalar(0, first.Type)), spread, centre), 1);
        Value inside = g.And(g.GreaterOrEqual(at, g.Scalar(0, at.Type)), g.LessOrEqual(at, last));
        if (op.Node.Text("mode", "bilinear") == "nearest") at = g.Op("Floor", [g.Add(at, 0.5)]);
        return g.Where(g.Unsqueeze(inside, -1), Weights(g, at, size), g.Scalar(0, at.Type));
    }

    // Windows whose elements are moved by offsets: read as GridSample does, one row of samples a window element, times the mask; then a matrix product.
    private static Value DeformConv(GraphBuilder g, Forward op)
    {
        Value x = op.In(0), w = op.In(1), offset = op.In(2);
        var window = ConvWindow.Of(op);
        if (window.Kernel is not [long height, long width]) throw new UnsupportedGradientException($"Node {op.Node.Label}: only windows of two dimensions and known size have a gradient rule. Export the model with a constant weight or kernel_shape.");
        long parts = op.Node.Int("offset_group", 1), elements = height * width;
        Value batch = g.DimOf(x, 0), rows = g.DimOf(offset, 2), columns = g.DimOf(offset, 3), channels = g.DimOf(x, 1);
        // [N·parts, elements, 2, rows, columns]
        Value moved = g.Reshape(offset, g.Concat(0, g.Ints(-1, elements, 2), rows, columns));
        Value Along(int axis, Value count, long behind)
        {
            float[] inWindow = [.. Enumerable.Range(0, (int)elements).Select(e => (float)((axis == 0 ? e / width : e % width) * window.Dilations[axis]) - window.PadsBegin![axis])];
            Value element = g.Reshape(g.Cast(g.Constant(TensorData.From<float>(inWindow, elements)), x.Type), elements, 1, 1);
            Value at = g.Mul(Range(g, count, x.Type), window.Strides[axis]);
            Value position = g.Add(g.Add(element, behind == 1 ? g.Unsqueeze(at, 1) : at), g.Gather(moved, g.Int(axis), 2));
            // The coordinate that GridSample puts at this pixel.
            return g.Sub(g.Div(g.Add(g.Mul(position, 2), 1), g.Cast(g.DimOf(x, axis + 2), x.Type)), 1);
        }
        Value y = Along(0, rows, 1), grid = g.Concat(-1, g.Unsqueeze(Along(1, columns, 0), -1), g.Unsqueeze(y, -1));
        Value flat = GraphBuilder.Typed(g.Reshape(grid, g.Concat(0, g.Mul(batch, g.Ints(parts)), g.Mul(rows, g.Ints(elements)), columns, g.Ints(2))), x.Type, Four);
        Value image = GraphBuilder.Typed(g.Reshape(x, g.Concat(0, g.Mul(batch, g.Ints(parts)), g.Div(channels, g.Ints(parts)), g.SizesFrom(2, x))), x.Type, Four);
        Value read = g.Reshape(GridSampleRules.Sampled(g, image, flat, 2), g.Concat(0, batch, g.Ints(parts, -1, elements), rows, columns));
        if (op.TryIn(4) is Value mask) read = g.Mul(read, g.Reshape(mask, g.Concat(0, batch, g.Ints(parts, 1, elements), rows, columns)));
        Value patches = GraphBuilder.Typed(g.Reshape(read, g.Concat(0, batch, g.Ints(window.Group), g.Mul(g.Div(channels, g.Ints(window.Group)), g.Ints(elements)), g.Mul(rows, columns))), x.Type, Four);
        Value kernels = GraphBuilder.Typed(g.Reshape(w, g.Concat(0, g.Ints(window.Group), g.Div(g.DimOf(w, 0), g.Ints(window.Group)), g.Ints(-1))), w.Type, new Shape(Dim.Unknown, Dim.Unknown, Dim.Unknown));
        Value result = g.Reshape(g.MatMul(kernels, patches), g.Concat(0, batch, g.Ints(-1), rows, columns));
        return op.TryIn(3) is Value bias ? g.Add(result, g.Reshape(bias, -1, 1, 1)) : result;
    }
}
