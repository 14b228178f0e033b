using ILGPU;
using OrtCpr.Cuda;

namespace OrtCpr.CudaKernels;

/// <summary>Sums of x [outer, columns, inner] over the first and the last axis: gradients of biases and of channels. Parts of the outer
/// axis first, then all parts, in double and in a fixed order; 4 bytes an element.</summary>
internal static unsafe class OuterSumKernels
{
    /// <summary>A part of the outer axis, inner = 1. A thread a column: a warp reads whole lines.</summary>
    public static void SumRowsOfParts(OuterSumOperands o)
    {
        long columnBlocks = (o.Columns + Group.DimX - 1) / Group.DimX, part = Grid.IdxX / columnBlocks;
        long column = ((Grid.IdxX - (part * columnBlocks)) * Group.DimX) + Group.IdxX;
        if (column >= o.Columns)
            return;
        long first = part * o.OuterOfPart, end = first + o.OuterOfPart < o.Outer ? first + o.OuterOfPart : o.Outer, row = first;
        float* x = (float*)o.X.Address + column;
        double sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
        for (; row + 3 < end; row += 4)
        {
            float x0 = x[row * o.Columns], x1 = x[(row + 1) * o.Columns], x2 = x[(row + 2) * o.Columns], x3 = x[(row + 3) * o.Columns];
            sum0 += x0;
            sum1 += x1;
            sum2 += x2;
            sum3 += x3;
        }
        for (; row < end; row++)
            sum0 += x[row * o.Columns];
        ((float*)o.Partials)[(part * o.Columns) + column] = (float)(sum0 + sum1 + (sum2 + sum3));
    }

    /// <summary>A part of the outer axis of one column, whose inner elements lie together. A block each.</summary>
    public static void SumRunsOfParts(OuterSumOperands o)
    {
        long part = Grid.IdxX / o.Columns, column = Grid.IdxX - (part * o.Columns);
        long first = part * o.OuterOfPart, end = first + o.OuterOfPart < o.Outer ? first + o.OuterOfPart : o.Outer;
        double sum = 0;
        // Short runs are read side by side, a group of threads each.
        int rows = Group.DimX / o.Width, own = Group.IdxX / o.Width, thread = Group.IdxX - (own * o.Width);
        for (long row = first + own; row < end; row += rows)
        {
            float* x = (float*)o.X.Address + (((row * o.Columns) + column) * o.Inner);
            for (long i = thread; i < o.Inner; i += o.Width)
                sum += x[i];
        }
        sum = BlockReduction.Sum(sum, Group.DimX);
        if (Group.IdxX == 0)
            ((float*)o.Partials)[(part * o.Columns) + column] = (float)sum;
    }

    /// <summary>The sums of the parts.</summary>
    public static void AddParts(OuterSumOperands o)
    {
        long column = (Grid.IdxX * (long)ColumnSums.Columns) + ColumnSums.Lane;
        double sum = column < o.Columns ? ColumnSums.OfParts((float*)o.Partials + column, o.Parts, o.Columns) : 0;
        sum = ColumnSums.OverWarps(sum);
        if (Group.IdxX < ColumnSums.Columns && column < o.Columns)
            ((float*)o.Result.Address)[column] = (float)sum;
    }
}
