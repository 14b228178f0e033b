using ILGPU;
using OrtCpr.Cuda;

namespace OrtCpr.CudaKernels;

/// <summary>The gradient of an embedding, in an order that does not depend on which thread is first. Places are cut into
/// segments: the first place of a row in a segment has the segment's sum, and the first of all adds those up, so a row that is picked
/// at most places, such as padding, is summed by many blocks.</summary>
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

    /// <summary>Σ dy over the places of a segment that pick the row of its first such place, in double. A block a place; those that are
    /// not the first end at once. A row of one segment is done with that.</summary>
    public static void SumSegments(EmbeddingOperands o)
    {
        ArrayView<int> isSame = SharedMemory.Allocate<int>(EmbeddingOperands.Segment);
        long place = Grid.IdxX, row = RowOf(o, place), start = place / EmbeddingOperands.Segment * EmbeddingOperands.Segment;
        for (int i = Group.IdxX; i < EmbeddingOperands.Segment; i += Group.DimX)
            isSame[i] = row >= 0 && RowOf(o, start + i) == row ? 1 : 0;
        Group.Barrier();
        int own = (int)(place - start), earlier = 0;
        for (int i = 0; i < own; i++)
            earlier += isSame[i];
        if (row < 0 || earlier > 0)
            return;
        bool isWhole = ((int*)o.First)[row] >= start && ((int*)o.Last)[row] < start + EmbeddingOperands.Segment;
        float* target = isWhole ? (float*)o.Gradient.Address + (row * o.Width) : (float*)o.Partials + (place * o.Width);
        for (long column = Group.IdxX; column < o.Width; column += Group.DimX)
        {
            double sum = 0;
            for (int i = own; i < EmbeddingOperands.Segment; i++)
            {
                if (isSame[i] != 0)
                    sum += ((float*)o.Dy.Address)[((start + i) * o.Width) + column];
            }
            target[column] = (float)sum;
        }
    }

    /// <summary>Adds up the segments of a row, in order. A block a place; those that are not the first of their row end at once.</summary>
    public static void AddSegments(EmbeddingOperands o)
    {
        long place = Grid.IdxX, row = RowOf(o, place), start = place / EmbeddingOperands.Segment * EmbeddingOperands.Segment;
        if (row < 0 || ((int*)o.First)[row] != place || ((int*)o.Last)[row] < start + EmbeddingOperands.Segment)
            return;
        long last = ((int*)o.Last)[row];
        for (long column = Group.IdxX; column < o.Width; column += Group.DimX)
        {
            double sum = 0;
            for (long segment = start; segment <= last; segment += EmbeddingOperands.Segment)
            {
                // Every thread looks for the segment's first place of the row, which is in a cache after the first.
                long leader = segment > place ? segment : place, end = segment + EmbeddingOperands.Segment;
                while (leader < end && RowOf(o, leader) != row)
                    leader++;
                if (leader < end)
                    sum += ((float*)o.Partials)[(leader * o.Width) + column];
            }
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
