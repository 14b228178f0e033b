using ILGPU;
using OrtCpr.Cuda;

namespace OrtCpr.CudaKernels;

/// <summary>Gradients of rows. Width threads share a row, and a block has as many rows as fit; thread t of a row takes
/// columns t, t + Width … Sums are formed in double.</summary>
internal static unsafe class RowKernels
{
    /// <summary>dx = y·(dy − Σ y·dy); 12 bytes an element, the second reading from a cache.</summary>
    public static void SoftmaxGrad(RowOperands o)
    {
        Row row = RowOf(o);
        double sum = 0;
        for (long i = row.First; i < row.End; i += o.Width)
            sum += (double)At(o.X, i) * At(o.Dy, i);
        float all = (float)BlockReduction.Sum(sum, o.Width);
        for (long i = row.First; i < row.End; i += o.Width)
            Set(o.Result, i, At(o.X, i) * (At(o.Dy, i) - all));
    }

    /// <summary>losses = log Σ exp z − (1 − ε)·z[label] − ε·mean(z), and log Σ exp z; reads each logit twice, four at a time: a
    /// thread that waits for one has no other work.</summary>
    public static void CrossEntropyRows(RowOperands o)
    {
        Row row = RowOf(o);
        long i = row.First, step = o.Width;
        float high0 = float.NegativeInfinity, high1 = high0, high2 = high0, high3 = high0;
        for (; i + (3 * step) < row.End; i += 4 * step)
        {
            float z0 = At(o.X, i), z1 = At(o.X, i + step), z2 = At(o.X, i + (2 * step)), z3 = At(o.X, i + (3 * step));
            high0 = Higher(high0, z0);
            high1 = Higher(high1, z1);
            high2 = Higher(high2, z2);
            high3 = Higher(high3, z3);
        }
        for (; i < row.End; i += step)
            high0 = Higher(high0, At(o.X, i));
        float highest = BlockReduction.Max(Higher(Higher(high0, high1), Higher(high2, high3)), o.Width);
        double sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
        for (i = row.First; i + (3 * step) < row.End; i += 4 * step)
        {
            float z0 = At(o.X, i), z1 = At(o.X, i + step), z2 = At(o.X, i + (2 * step)), z3 = At(o.X, i + (3 * step));
            sum0 += DeviceMath.Exp(z0 - highest);
            sum1 += DeviceMath.Exp(z1 - highest);
            sum2 += DeviceMath.Exp(z2 - highest);
            sum3 += DeviceMath.Exp(z3 - highest);
        }
        for (; i < row.End; i += step)
            sum0 += DeviceMath.Exp(At(o.X, i) - highest);
        double sum = BlockReduction.Sum(sum0 + sum1 + (sum2 + sum3), o.Width), total = 0;
        if (o.Smoothing != 0)
        {
            for (i = row.First; i < row.End; i += step)
                total += At(o.X, i);
            total = BlockReduction.Sum(total, o.Width);
        }
        if (!row.IsFirstThread)
            return;
        long label = ((long*)o.Labels.Address)[row.Index];
        double logSum = highest + DeviceMath.Log(sum);
        double picked = label >= 0 && label < o.Columns ? At(o.X, (row.Index * o.Columns) + label) : double.NaN;
        // Not where nothing is spread: a masked logit, −∞, would make the mean −∞ and its product NaN.
        double spread = o.Smoothing == 0 ? 0 : o.Smoothing * (picked - (total / o.Columns));
        Set(o.LogSums, row.Index, (float)logSum);
        Set(o.Losses, row.Index, (float)(logSum - picked + spread));
    }

    /// <summary>(exp(z − log Σ exp z) − (1 − ε)·[c = label] − ε/C)·dy, 0 where dy is; 8 bytes an element.</summary>
    public static void CrossEntropyRowsGrad(RowOperands o)
    {
        Row row = RowOf(o);
        float dy = row.IsRow ? At(o.Dy, row.Index) : 0;
        long i = row.First, step = o.Width;
        // A row that does not count may hold NaN or infinities.
        if (dy == 0)
        {
            for (; i < row.End; i += step)
                Set(o.Result, i, 0);
            return;
        }
        float logSum = At(o.LogSums, row.Index), share = o.Smoothing * dy, even = share / o.Columns;
        for (; i + (3 * step) < row.End; i += 4 * step)
        {
            float z0 = At(o.X, i), z1 = At(o.X, i + step), z2 = At(o.X, i + (2 * step)), z3 = At(o.X, i + (3 * step));
            Set(o.Result, i, (DeviceMath.Exp(z0 - logSum) * dy) - even);
            Set(o.Result, i + step, (DeviceMath.Exp(z1 - logSum) * dy) - even);
            Set(o.Result, i + (2 * step), (DeviceMath.Exp(z2 - logSum) * dy) - even);
            Set(o.Result, i + (3 * step), (DeviceMath.Exp(z3 - logSum) * dy) - even);
        }
        for (; i < row.End; i += step)
            Set(o.Result, i, (DeviceMath.Exp(At(o.X, i) - logSum) * dy) - even);
        // The thread that has written the label's column takes the label off it.
        long label = ((long*)o.Labels.Address)[row.Index];
        if (label < 0 || label >= o.Columns || (label & (o.Width - 1)) != row.Thread)
            return;
        i = (row.Index * o.Columns) + label;
        Set(o.Result, i, At(o.Result, i) - (dy - share));
    }

    /// <summary>dx = r·(h − mean(h) − x̂·mean(h·x̂)) with h = dy·γ and x̂ = (x − mean)·r; without a mean the middle term is
    /// 0. 12 bytes an element, the second reading from a cache.</summary>
    public static void RowNormInputGrad(RowOperands o)
    {
        Row row = RowOf(o);
        bool hasMean = o.Mean.Address != 0, isRow = row.Index < o.Rows;
        float mean = hasMean && isRow ? At(o.Mean, row.Index) : 0, inverse = hasMean && isRow ? At(o.Inverse, row.Index) : 0;
        if (!hasMean)
        {
            double squares = 0;
            for (long i = row.First; i < row.End; i += o.Width)
                squares += (double)At(o.X, i) * At(o.X, i);
            inverse = (float)(1 / Math.Sqrt((BlockReduction.Sum(squares, o.Width) / o.Columns) + o.Epsilon));
            if (row.IsFirstThread)
                ((float*)o.Inverses)[row.Index] = inverse;
        }
        double sum = 0, product = 0;
        for (long i = row.First, c = row.Thread; i < row.End; i += o.Width, c += o.Width)
        {
            float h = At(o.Dy, i) * At(o.Gain, c);
            sum += h;
            product += (double)h * ((At(o.X, i) - mean) * inverse);
        }
        float middle = hasMean ? (float)(BlockReduction.Sum(sum, o.Width) / o.Columns) : 0;
        float slope = (float)(BlockReduction.Sum(product, o.Width) / o.Columns);
        for (long i = row.First, c = row.Thread; i < row.End; i += o.Width, c += o.Width)
        {
            float normal = (At(o.X, i) - mean) * inverse;
            Set(o.Result, i, ((At(o.Dy, i) * At(o.Gain, c)) - middle - (normal * slope)) * inverse);
        }
    }

    /// <summary>Σ dy·x̂ and Σ dy of each column over a part of the rows. A thread a column: a warp reads whole lines.</summary>
    public static void RowNormPartialSums(RowOperands o)
    {
        long columnBlocks = (o.Columns + Group.DimX - 1) / Group.DimX, part = Grid.IdxX / columnBlocks;
        long column = ((Grid.IdxX - (part * columnBlocks)) * Group.DimX) + Group.IdxX;
        if (column >= o.Columns)
            return;
        long first = part * o.RowsOfPart, end = first + o.RowsOfPart < o.Rows ? first + o.RowsOfPart : o.Rows;
        double gain = 0, bias = 0;
        for (long row = first; row < end; row++)
        {
            float dy = At(o.Dy, (row * o.Columns) + column), x = At(o.X, (row * o.Columns) + column);
            float normal = o.Mean.Address != 0 ? (x - At(o.Mean, row)) * At(o.Inverse, row) : x * ((float*)o.Inverses)[row];
            gain += (double)dy * normal;
            bias += dy;
        }
        float* sums = (float*)o.Partials + (part * 2 * o.Columns) + column;
        sums[0] = (float)gain;
        sums[o.Columns] = (float)bias;
    }

    /// <summary>dγ and dβ from the sums of the parts. 32 columns a block: a warp reads a line of each part that is its turn, and
    /// what the warps have is added in their order.</summary>
    public static void RowNormSums(RowOperands o)
    {
        long column = (Grid.IdxX * (long)ColumnSums.Columns) + ColumnSums.Lane;
        float* sums = (float*)o.Partials + column;
        double gain = column < o.Columns ? ColumnSums.OfParts(sums, o.Parts, 2 * o.Columns) : 0;
        double bias = column < o.Columns ? ColumnSums.OfParts(sums + o.Columns, o.Parts, 2 * o.Columns) : 0;
        gain = ColumnSums.OverWarps(gain);
        bias = ColumnSums.OverWarps(bias);
        if (Group.IdxX >= ColumnSums.Columns || column >= o.Columns)
            return;
        Set(o.GainGradient, column, (float)gain);
        if (o.BiasGradient.Address != 0)
            Set(o.BiasGradient, column, (float)bias);
    }

    private static float Higher(float a, float b) => b > a || float.IsNaN(b) ? b : a;

    private static float At(Operand tensor, long i) => ((float*)tensor.Address)[i];

    private static void Set(Operand tensor, long i, float value) => ((float*)tensor.Address)[i] = value;

    /// <summary>The row of this thread; one after the last has no columns, and takes part in sums alone.</summary>
    private static Row RowOf(RowOperands o)
    {
        int rows = Group.DimX / o.Width, own = Group.IdxX / o.Width, thread = Group.IdxX - (own * o.Width);
        long index = (Grid.IdxX * (long)rows) + own, first = index * o.Columns;
        return new()
        {
            Index = index,
            Thread = thread,
            First = first + thread,
            End = index < o.Rows ? first + o.Columns : first,
            IsRow = index < o.Rows,
            IsFirstThread = thread == 0 && index < o.Rows,
        };
    }

    private struct Row
    {
        public long Index, First, End;
        public int Thread;
        public bool IsRow, IsFirstThread;
    }
}
