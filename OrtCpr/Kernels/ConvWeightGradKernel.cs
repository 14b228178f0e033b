namespace OrtCpr.Kernels;

/// <summary>Sizes of a convolution of two spatial axes without groups.</summary>
internal readonly struct ConvShape
{
    public nint Batch { get; init; }

    public nint Channels { get; init; }

    public nint Height { get; init; }

    public nint Width { get; init; }

    /// <summary>Channels of the result.</summary>
    public nint Outputs { get; init; }

    public nint OutputHeight { get; init; }

    public nint OutputWidth { get; init; }

    public nint KernelHeight { get; init; }

    public nint KernelWidth { get; init; }

    public nint StrideHeight { get; init; }

    public nint StrideWidth { get; init; }

    public nint DilationHeight { get; init; }

    public nint DilationWidth { get; init; }

    /// <summary>Rows of zeros above.</summary>
    public nint PadTop { get; init; }

    /// <summary>Columns of zeros on the left.</summary>
    public nint PadLeft { get; init; }

    /// <summary>Elements of x that one element of the result sees.</summary>
    public nint PatchLength => Channels * KernelHeight * KernelWidth;

    /// <summary>Rows of the result, over all images.</summary>
    public nint Rows => Batch * OutputHeight;
}

/// <summary>The gradient of a convolution with respect to its weight, by patches and matrix products.</summary>
/// <remarks>
/// dW [M, C·kh·kw] is dY [M, positions] times the patches of x [C·kh·kw, positions], summed over blocks of whole rows of the result. A block's patches fit into
/// the cache next to the processor, or are as large as dW where that is larger, so that dW is not read and written too often. Each element of x is read once for each place of the
/// kernel, and each patch element written and read once: 8·kh·kw bytes an element of x, most of them in the cache. A row of a patch is one copy where the
/// stride is 1. Nothing may overlap. The order of the sum depends on sizes only, not on threads.
/// </remarks>
internal static unsafe class ConvWeightGradKernel
{
    private const nint PatchElements = 1 << 20;

    private const nint AddedElements = 1 << 14;

    /// <summary>Floats of working memory that <see cref="Run"/> needs.</summary>
    public static nint ScratchLength(in ConvShape s)
    {
        nint columns = BlockRows(s) * s.OutputWidth;
        return (columns * (s.PatchLength + s.Outputs)) + (s.Outputs * s.PatchLength);
    }

    /// <summary>Writes dW [M, C, kh, kw].</summary>
    public static void Run(in ConvShape s, float* x, float* dy, float* dw, float* scratch, ParallelLoop loop, MatrixProduct product)
    {
        nint rows = s.Rows, blockRows = BlockRows(s), size = s.Outputs * s.PatchLength;
        if (rows * s.OutputWidth == 0)
        {
            new Span<float>(dw, checked((int)size)).Clear();
            return;
        }
        nint columns = blockRows * s.OutputWidth;
        float* patches = scratch, gathered = patches + (columns * s.PatchLength), part = gathered + (columns * s.Outputs);
        for (nint first = 0; first < rows; first += blockRows)
        {
            Work work = new() { Shape = s, X = x, Dy = dy, Patches = patches, Gathered = gathered, First = first, Count = nint.Min(blockRows, rows - first), Sum = dw, Part = part, Size = size };
            loop.Run(&FillPatch, &work, s.PatchLength);
            // An image's rows are one block of memory already.
            bool whole = work.Count == s.OutputHeight && first % s.OutputHeight == 0;
            if (!whole)
                loop.Run(&Gather, &work, s.Outputs);
            product.Run(whole ? dy + (first * s.OutputWidth * s.Outputs) : gathered, patches, first == 0 ? dw : part, s.Outputs, s.PatchLength, work.Count * s.OutputWidth);
            if (first > 0)
                loop.Run(&AddPart, &work, (size + AddedElements - 1) / AddedElements);
        }
    }

    /// <summary>Rows of the result in a block.</summary>
    private static nint BlockRows(in ConvShape s)
    {
        nint row = nint.Max(1, s.PatchLength * s.OutputWidth);
        nint fitting = nint.Clamp(nint.Max(PatchElements, s.Outputs * s.PatchLength) / row, 1, nint.Max(1, s.Rows));
        // Whole images where several fit, and one rather than a little more.
        return s.OutputHeight > 0 && fitting >= s.OutputHeight && fitting < 2 * s.OutputHeight ? s.OutputHeight : fitting;
    }

    /// <summary>One row of the patches: what one place of the kernel sees of one channel, at every position of the block.</summary>
    private static void FillPatch(void* state, nint q)
    {
        Work* work = (Work*)state;
        ref readonly ConvShape s = ref work->Shape;
        nint places = s.KernelHeight * s.KernelWidth, channel = q / places, i = q % places / s.KernelWidth, j = q % s.KernelWidth;
        nint left = (j * s.DilationWidth) - s.PadLeft, stride = s.StrideWidth;
        // Positions below `low` and from `high` on see zeros of the padding.
        nint low = nint.Clamp(left >= 0 ? 0 : (-left + stride - 1) / stride, 0, s.OutputWidth);
        nint high = nint.Clamp(s.Width <= left ? 0 : ((s.Width - 1 - left) / stride) + 1, low, s.OutputWidth);
        float* to = work->Patches + (q * work->Count * s.OutputWidth);
        for (nint r = work->First; r < work->First + work->Count; r++, to += s.OutputWidth)
        {
            nint line = (r % s.OutputHeight * s.StrideHeight) - s.PadTop + (i * s.DilationHeight);
            Span<float> row = new(to, (int)s.OutputWidth);
            if ((nuint)line >= (nuint)s.Height)
            {
                row.Clear();
                continue;
            }
            float* from = work->X + (((((r / s.OutputHeight * s.Channels) + channel) * s.Height) + line) * s.Width) + left;
            row[..(int)low].Clear();
            if (stride == 1)
                new ReadOnlySpan<float>(from + low, (int)(high - low)).CopyTo(row[(int)low..]);
            else
                for (nint p = low; p < high; p++) to[p] = from[p * stride];
            row[(int)high..].Clear();
        }
    }

    /// <summary>One channel of dY at every position of the block, images one behind the other.</summary>
    private static void Gather(void* state, nint m)
    {
        Work* work = (Work*)state;
        ref readonly ConvShape s = ref work->Shape;
        float* to = work->Gathered + (m * work->Count * s.OutputWidth);
        for (nint r = work->First; r < work->First + work->Count;)
        {
            nint inImage = r % s.OutputHeight, lines = nint.Min(s.OutputHeight - inImage, work->First + work->Count - r), length = lines * s.OutputWidth;
            float* from = work->Dy + (((((r / s.OutputHeight * s.Outputs) + m) * s.OutputHeight) + inImage) * s.OutputWidth);
            Buffer.MemoryCopy(from, to, length * sizeof(float), length * sizeof(float));
            to += length;
            r += lines;
        }
    }

    private static void AddPart(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        nint start = chunk * AddedElements;
        int length = (int)nint.Min(AddedElements, work->Size - start);
        Span<float> sum = new(work->Sum + start, length);
        System.Numerics.Tensors.TensorPrimitives.Add(sum, new ReadOnlySpan<float>(work->Part + start, length), sum);
    }

    private struct Work
    {
        public ConvShape Shape;
        public float* X;
        public float* Dy;
        public float* Patches;
        public float* Gathered;
        public float* Sum;
        public float* Part;
        public nint Size;
        public nint First;
        public nint Count;
    }
}
