using ILGPU;
using OrtCpr.Cuda;

namespace OrtCpr.CudaKernels;

/// <summary>The gradient of an embedding, in an order that does not depend on which thread is first.</summary>
internal static unsafe class EmbeddingKernels
{
    /// <summary>Zeros, and rows without places; 4 bytes an element of the table.</summary>
    public static void ClearEmbedding(EmbeddingOperands o)
    {
        long step = Grid.DimX * (long)Group.DimX, first = (Grid.IdxX * (long)Group.DimX) + Group.IdxX;
        for (long i = first; i < o.Gradient.Count; i += step)
            ((float*)o.Gradient.Address)[i] = 0;
        for (long row = first; row < o.Rows; row += step)
        {
            ((int*)o.First)[row] = int.MaxValue;
            ((int*)o.Last)[row] = -1;
        }
    }

    /// <summary>The first and the last place of each row. A thread a place.</summary>
    public static void MarkPlaces(EmbeddingOperands o)
    {
        long place = (Grid.IdxX * (long)Group.DimX) + Group.IdxX, row = RowOf(o, place);
        if (row < 0)
            return;
        Atomic.Min(ref ((int*)o.First)[row], (int)place);
        Atomic.Max(ref ((int*)o.Last)[row], (int)place);
    }

    /// <summary>The next place of the same row, looked for up to the last. A thread a place.</summary>
    public static void ChainPlaces(EmbeddingOperands o)
    {
        long place = (Grid.IdxX * (long)Group.DimX) + Group.IdxX, row = RowOf(o, place);
        if (row < 0)
            return;
        long last = ((int*)o.Last)[row], next = -1;
        for (long i = place + 1; i <= last && next < 0; i++)
        {
            if (RowOf(o, i) == row)
                next = i;
        }
        ((int*)o.Next)[place] = (int)next;
    }

    /// <summary>Σ dy along the chain that begins at a place, in double. A block a place; most end at once.</summary>
    public static void SumPlaces(EmbeddingOperands o)
    {
        long row = RowOf(o, Grid.IdxX);
        if (row < 0 || ((int*)o.First)[row] != Grid.IdxX)
            return;
        for (long column = Group.IdxX; column < o.Width; column += Group.DimX)
        {
            double sum = 0;
            for (long place = Grid.IdxX; place >= 0; place = ((int*)o.Next)[place])
                sum += ((float*)o.Dy.Address)[(place * o.Width) + column];
            ((float*)o.Gradient.Address)[(row * o.Width) + column] = (float)sum;
        }
    }

    /// <summary>−1 for what is no place of the table; the forward pass has read there, and the driver has looked at labels.</summary>
    private static long RowOf(EmbeddingOperands o, long place)
    {
        if (place >= o.Indices.Count)
            return -1;
        long row = ((long*)o.Indices.Address)[place];
        row = row < 0 ? row + o.Rows : row;
        return row < 0 || row >= o.Rows ? -1 : row;
    }
}
