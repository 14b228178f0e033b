using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Regions of interest and deformed windows. Regions are constants: x alone has a gradient there. Along each
/// axis a region is a matrix [regions, rows, size of x] of weights, and y[r] = Wy·x[batch of r]·Wxᵀ.</summary>
internal static class RegionRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["RoiAlign"] = ByDefinition.Rule(RoiAlign, inputs: 1),
        ["MaxRoiPool"] = ByDefinition.Rule(MaxRoiPool, inputs: 1),
        ["com.microsoft.CropAndResize"] = ByDefinition.Rule(CropAndResize, inputs: 1),
        ["DeformConv"] = ByDefinition.Rule(DeformConv),
    };

    /// <summary>regions[:, column] as [regions, 1, 1].</summary>
    private static Term Column(GraphBuilder g, Value regions, int column) => g.Unsqueeze(g.Gather(regions, g.Ints(column), 1), -1);

    private static Term Range(GraphBuilder g, Value count, ElementType type) => g.Cast(g.Positions(count), type);

    private static Term OfRegions(GraphBuilder g, Value x, Value batch) =>
        g.Gather(x, g.Cast(batch, ElementType.Int64).Typed(ElementType.Int64, new Shape(Dim.Unknown)));

    private static Term Separable(GraphBuilder g, Value x, Value rows, Value columns)
    {
        Term high = g.Unsqueeze(rows, 1).Typed(x.Type, Four), wide = g.Unsqueeze(columns, 1).Typed(x.Type, Four);
        return g.MatMul(g.MatMul(high, x).Typed(x.Type, Four), wide, false, true);
    }

    private static Shape Four => new(Enumerable.Repeat(Dim.Unknown, 4));

    /// <summary>Bilinear weights of positions over 0 … size - 1, which clamps them: [.., size].</summary>
    private static Term Weights(GraphBuilder g, Value at, Value size)
    {
        Term last = g.Cast(size, at.Type) - 1, inside = g.Max(g.Min(at, last), 0);
        Term distance = g.Abs(g.Unsqueeze(inside, -1) - Range(g, size, at.Type));
        return g.Max(1 - distance, 0);
    }

    /// <summary>A grid of samples in each bin, outside of the image zeros. Their mean; or, in mode max, the largest
    /// share that one of the four pixels around a sample has in it, which is what ONNX Runtime computes.</summary>
    private static Term RoiAlign(GraphBuilder g, Forward op)
    {
        Term x = op.In(0), own = OfRegions(g, x, op.In(2));
        (Term rows, Term countedRows) = Samples(g, op, 1, "output_height", g.DimOf(x, 2));
        (Term columns, Term countedColumns) = Samples(g, op, 0, "output_width", g.DimOf(x, 3));
        if (op.Node.Text("mode", "avg") == "avg")
            return Separable(g, own, Mean(g, rows, countedRows), Mean(g, columns, countedColumns));
        Term shares = Separable(g, own, Flat(g, rows), Flat(g, columns));
        Term high = g.Ints(op.Node.Int("output_height", 1)), wide = g.Ints(op.Node.Int("output_width", 1));
        Term rest = g.Op("Shape", [rows], ("start", 2), ("end", 4));
        Term other = g.Op("Shape", [columns], ("start", 2), ("end", 4));
        Term apart = g.Reshape(shares, g.Concat(0, g.Op("Shape", [shares], ("end", 2)), high, rest, wide, other));
        Term counts = g.Unsqueeze(countedRows, 1, 4, 5, 6, 7) & g.Unsqueeze(countedColumns, 1, 2, 3, 4, 7);
        return g.Reduce("ReduceMax", g.Where(counts, apart, float.MinValue), false, 3, 4, 6, 7);
    }

    private static Term Mean(GraphBuilder g, Value weights, Value counted) =>
        g.Reduce("ReduceSum", g.Where(g.Unsqueeze(counted, -1, -2), weights, 0), false, 2, 3)
        / g.Unsqueeze(g.ReduceSum(g.Cast(counted, weights.Type), false, 2), -1);

    private static Term Flat(GraphBuilder g, Value weights) =>
        g.Reshape(weights, g.Concat(0, g.Op("Shape", [weights], ("end", 1)), g.Ints(-1), g.Op("Shape", [weights], ("start", -1))));

    /// <summary>Along one axis: weights [regions, bins, samples, 2 pixels, size], and which samples count [regions, 1,
    /// samples].</summary>
    private static (Term Weights, Term Counted) Samples(GraphBuilder g, Forward op, int column, string bins, Value size)
    {
        double scale = op.Node.Float("spatial_scale", 1);
        bool half = op.Node.Text("coordinate_transformation_mode", "half_pixel") == "half_pixel";
        long count = op.Node.Int(bins, 1), ratio = op.Node.Int("sampling_ratio", 0);
        Term regions = op.In(1), zero = g.Scalar(0, regions.Type), one = g.Scalar(1, regions.Type);
        Term start = Column(g, regions, column) * scale - (half ? 0.5 : 0);
        Term extent = Column(g, regions, column + 2) * scale - (half ? 0.5 : 0) - start;
        if (!half) extent = g.Max(extent, one);
        Term bin = extent / count;
        // Without a ratio each region has as many samples as its bins have pixels; the others of the longest row count nothing.
        Term own = ratio > 0 ? bin * 0 + ratio : g.Max(g.Op("Ceil", [bin]), one);
        Term most = ratio > 0 ? g.Ints(ratio) : g.Reshape(g.Cast(g.Reduce("ReduceMax", own, false), ElementType.Int64), 1);
        Term sample = Range(g, most, regions.Type);
        Term row = g.Unsqueeze(Range(g, g.Ints(count), regions.Type), 1);
        Term last = g.Cast(size, regions.Type) - 1;
        Term at = start + bin * (row + (sample + 0.5) / own);
        Term visible = (at >= -1) & (at <= g.Cast(size, at.Type));
        Term inside = g.Max(g.Min(at, last), zero), first = g.Op("Floor", [inside]), part = inside - first;
        // [regions, bins, samples, 1, size]: the weight at the pixel of each sample, and zeros elsewhere.
        Term Pixel(Value position, Value weight)
        {
            Term isThere = g.Equal(g.Unsqueeze(position, -1), Range(g, size, at.Type));
            return g.Unsqueeze(g.Where(isThere, g.Unsqueeze(g.Where(visible, weight, zero), -1), zero), 3);
        }
        return (g.Concat(3, Pixel(first, 1 - part), Pixel(g.Min(first + 1, last), part)), sample < own);
    }

    /// <summary>The largest of each bin of whole pixels: first over rows, then over columns; 0 where a bin is
    /// empty.</summary>
    private static Term MaxRoiPool(GraphBuilder g, Forward op)
    {
        Term x = op.In(0), own = OfRegions(g, x, g.Squeeze(g.Gather(op.In(1), g.Ints(0), 1), 1)), low = g.Scalar(float.MinValue, x.Type);
        long[] bins = op.Node.Ints("pooled_shape")!;
        Term rows = Bins(g, op, 2, bins[0], g.DimOf(x, 2)), columns = Bins(g, op, 1, bins[1], g.DimOf(x, 3));
        Term high = g.Where(g.Unsqueeze(rows, 1, 4), g.Unsqueeze(own, 2), low);
        Term tall = g.Unsqueeze(g.Reduce("ReduceMax", high, false, 3), 3);
        Term y = g.Reduce("ReduceMax", g.Where(g.Unsqueeze(columns, 1, 2), tall, low), false, 4);
        return g.Where(g.Equal(y, low), 0, y);
    }

    /// <summary>[regions, bins, size]: which pixels a bin covers.</summary>
    private static Term Bins(GraphBuilder g, Forward op, int column, long bins, Value size)
    {
        double scale = op.Node.Float("spatial_scale", 1);
        Term Rounded(int c) => g.Op("Floor", [Column(g, op.In(1), c) * scale + 0.5]);
        Term start = Rounded(column), extent = g.Max(Rounded(column + 2) - start + 1, 1), bin = extent / bins;
        Term row = g.Unsqueeze(Range(g, g.Ints(bins), start.Type), 1), pixel = Range(g, size, start.Type);
        Term from = g.Op("Floor", [row * bin]) + start, to = g.Op("Ceil", [(row + 1) * bin]) + start;
        return (pixel >= from) & (pixel < to);
    }

    /// <summary>Regions are [y1, x1, y2, x2] in parts of the image; outside of it the extrapolation value, a
    /// constant.</summary>
    private static Term CropAndResize(GraphBuilder g, Forward op)
    {
        Term x = op.In(0);
        return Separable(g, OfRegions(g, x, op.In(2)), Cropped(g, op, 0, g.DimOf(x, 2)), Cropped(g, op, 1, g.DimOf(x, 3)));
    }

    private static Term Cropped(GraphBuilder g, Forward op, int column, Value size)
    {
        Term first = Column(g, op.In(1), column), second = Column(g, op.In(1), column + 2), last = g.Cast(size, first.Type) - 1;
        Term count = g.Gather(g.Cast(op.In(3), ElementType.Int64), g.Ints(column)), steps = g.Cast(count, first.Type) - 1;
        Term part = Range(g, count, first.Type) / g.Max(steps, 1);
        Term spread = (first + (second - first) * part) * last, centre = (first + second) * 0.5 * last;
        Term at = g.Squeeze(g.Where(steps > 0, spread, centre), 1);
        Term inside = (at >= 0) & (at <= last);
        if (op.Node.Text("mode", "bilinear") == "nearest") at = g.Op("Floor", [at + 0.5]);
        return g.Where(g.Unsqueeze(inside, -1), Weights(g, at, size), 0);
    }

    /// <summary>Windows whose elements are moved by offsets: read as GridSample does, one row of samples a window
    /// element, times the mask; then a matrix product.</summary>
    private static Term DeformConv(GraphBuilder g, Forward op)
    {
        Term x = op.In(0), w = op.In(1), offset = op.In(2);
        var window = ConvWindow.Of(op.Node);
        if (window.Kernel is not [long height, long width])
        {
            throw new UnsupportedGradientException(
                $"Node {op.Node.Label}: only windows of two dimensions and known size have a gradient rule. "
                + "Export the model with a constant weight or kernel_shape.");
        }
        long parts = op.Node.Int("offset_group", 1), elements = height * width;
        Term batch = g.DimOf(x, 0), rows = g.DimOf(offset, 2), columns = g.DimOf(offset, 3), channels = g.DimOf(x, 1);
        // [N·parts, elements, 2, rows, columns]
        Term moved = g.Reshape(offset, g.Concat(0, g.Ints(-1, elements, 2), rows, columns));
        Term Along(int axis, Value count, bool rowsFirst)
        {
            float[] inWindow = [.. Enumerable.Range(0, (int)elements)
                .Select(e => (float)((axis == 0 ? e / width : e % width) * window.Dilations[axis]) - window.PadsBegin![axis])];
            Term element = g.Reshape(g.Cast(g.Constant(TensorData.From<float>(inWindow, elements)), x.Type), elements, 1, 1);
            Term at = Range(g, count, x.Type) * window.Strides[axis];
            Term position = element + (rowsFirst ? g.Unsqueeze(at, 1) : at) + g.Gather(moved, g.Int(axis), 2);
            // The coordinate that GridSample puts at this pixel.
            return (position * 2 + 1) / g.Cast(g.DimOf(x, axis + 2), x.Type) - 1;
        }
        Term y = Along(0, rows, true), grid = g.Concat(-1, g.Unsqueeze(Along(1, columns, false), -1), g.Unsqueeze(y, -1));
        Term flat = g.Reshape(grid, g.Concat(0, batch * g.Ints(parts), rows * g.Ints(elements), columns, g.Ints(2))).Typed(x.Type, Four);
        Term image = g.Reshape(x, g.Concat(0, batch * g.Ints(parts), channels / g.Ints(parts), g.SizesFrom(2, x))).Typed(x.Type, Four);
        Term read = g.Reshape(GridSampleRules.Sampled(g, image, flat, 2), g.Concat(0, batch, g.Ints(parts, -1, elements), rows, columns));
        if (op.TryIn(4) is Value mask) read = read * g.Reshape(mask, g.Concat(0, batch, g.Ints(parts, 1, elements), rows, columns));
        Term patches =
            g.Reshape(read, g.Concat(0, batch, g.Ints(window.Group), channels / g.Ints(window.Group) * g.Ints(elements), rows * columns))
            .Typed(x.Type, Four);
        Term kernels = g.Reshape(w, g.Concat(0, g.Ints(window.Group), g.DimOf(w, 0) / g.Ints(window.Group), g.Ints(-1)))
            .Typed(w.Type, new Shape(Dim.Unknown, Dim.Unknown, Dim.Unknown));
        Term result = g.Reshape(g.MatMul(kernels, patches), g.Concat(0, batch, g.Ints(-1), rows, columns));
        return op.TryIn(3) is Value bias ? result + g.Reshape(bias, -1, 1, 1) : result;
    }
}
