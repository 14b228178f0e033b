using System.Numerics.Tensors;

namespace OrtCpr.Kernels;

/// <summary>Rows of a gradient that belong to rows of a table, added up where they belong to the same one.</summary>
/// <remarks>A thread owns a run of the table's rows: it clears them and adds what belongs there in the order of the places, so threads
/// change no bit. 4 bytes an element of the table are written, and 12 an element of dy moved.</remarks>
internal static unsafe class EmbeddingGradKernel
{
    /// <summary>Elements of the table that one call of the loop body owns: a quarter of a second-level cache.</summary>
    private const nint ElementsOfPart = 1 << 16;

    /// <summary>gradient[r] = Σ dy[i] over indices[i] = r.</summary>
    public static void Run(long* indices, nint places, float* dy, float* gradient, nint rows, nint width, ParallelLoop loop)
    {
        if (rows == 0 || width == 0)
            return;
        nint each = nint.Max(1, ElementsOfPart / width);
        Work work = new() { Indices = indices, Places = places, Dy = dy, Gradient = gradient, Rows = rows, Width = width, Each = each };
        loop.Run(&AddPart, &work, (rows + each - 1) / each);
    }

    private static void AddPart(void* state, nint part)
    {
        Work* w = (Work*)state;
        nint first = part * w->Each, end = nint.Min(w->Rows, first + w->Each);
        int width = checked((int)w->Width);
        for (nint r = first; r < end; r++)
            new Span<float>(w->Gradient + (r * w->Width), width).Clear();
        for (nint i = 0; i < w->Places; i++)
        {
            nint row = (nint)(w->Indices[i] < 0 ? w->Indices[i] + w->Rows : w->Indices[i]);
            if (row < first || row >= end)
                continue;
            Span<float> sum = new(w->Gradient + (row * w->Width), width);
            TensorPrimitives.Add(sum, new ReadOnlySpan<float>(w->Dy + (i * w->Width), width), sum);
        }
    }

    private struct Work
    {
        public long* Indices;
        public nint Places;
        public float* Dy;
        public float* Gradient;
        public nint Rows;
        public nint Width;
        public nint Each;
    }
}
