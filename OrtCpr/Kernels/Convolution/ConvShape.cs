namespace OrtCpr.Kernels;

/// <summary>Sizes of a convolution of two spatial axes without groups.</summary>
internal readonly record struct ConvShape
{
    private const nint PatchElements = 1 << 20;

    private const nint CachedElements = 1 << 16;

    private const nint ManyPositions = 256;

    public nint BatchSize { get; init; }

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

    /// <summary>Of shapes that belong together, with the attributes of Conv.</summary>
    public static ConvShape Of(ReadOnlySpan<long> x, ReadOnlySpan<long> weight, ReadOnlySpan<long> y, ReadOnlySpan<long> strides,
        ReadOnlySpan<long> dilations, ReadOnlySpan<long> pads) => new()
        {
            BatchSize = (nint)x[0],
            Channels = (nint)x[1],
            Height = (nint)x[2],
            Width = (nint)x[3],
            Outputs = (nint)weight[0],
            KernelHeight = (nint)weight[2],
            KernelWidth = (nint)weight[3],
            OutputHeight = (nint)y[2],
            OutputWidth = (nint)y[3],
            StrideHeight = (nint)strides[0],
            StrideWidth = (nint)strides[1],
            DilationHeight = (nint)dilations[0],
            DilationWidth = (nint)dilations[1],
            PadTop = (nint)pads[0],
            PadLeft = (nint)pads[1],
        };

    /// <summary>Elements of x that one element of the result sees.</summary>
    public nint PatchLength => Channels * KernelHeight * KernelWidth;

    /// <summary>Rows of the result, over all images.</summary>
    public nint Rows => BatchSize * OutputHeight;

    /// <summary>Rows of the result whose patches are worked on at a time: about as many as fit into the cache next to
    /// the processor, or are as large as the weight.</summary>
    public nint BlockRows
    {
        get
        {
            nint row = nint.Max(1, PatchLength * OutputWidth);
            nint fitting = nint.Clamp(nint.Max(PatchElements, Outputs * PatchLength) / row, 1, nint.Max(1, Rows));
            // Image by image, as ONNX Runtime's own gradient adds up, where the additions are few against the products
            // or stay in the cache.
            bool single = OutputHeight * OutputWidth >= ManyPositions || Outputs * PatchLength <= CachedElements;
            return OutputHeight > 0 && fitting >= OutputHeight && single ? OutputHeight : fitting;
        }
    }

    /// <summary>Column of x that column 0 of the result sees through column <paramref name="j"/> of the kernel; may lie
    /// in the padding.</summary>
    public nint LeftOf(nint j) => (j * DilationWidth) - PadLeft;

    /// <summary>Row of x that row <paramref name="r"/> of <see cref="Rows"/> sees through row <paramref name="i"/> of
    /// the kernel; may lie in the padding.</summary>
    public nint LineOf(nint r, nint i) => (r % OutputHeight * StrideHeight) - PadTop + (i * DilationHeight);

    /// <summary>The columns of the result that see x and no padding: from Low on, below High.</summary>
    public (nint Low, nint High) InsideOf(nint left)
    {
        nint low = nint.Clamp(left >= 0 ? 0 : (-left + StrideWidth - 1) / StrideWidth, 0, OutputWidth);
        return (low, nint.Clamp(Width <= left ? 0 : ((Width - 1 - left) / StrideWidth) + 1, low, OutputWidth));
    }
}

/// <summary>Rows of a convolution's result, channel by channel.</summary>
internal static unsafe class ConvRows
{
    /// <summary>Some of all rows as one matrix [M, positions].</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="dy">[N, M, OH, OW].</param>
    /// <param name="first">First row, of <see cref="ConvShape.Rows"/>.</param>
    /// <param name="count">Number of rows.</param>
    /// <param name="gathered">Where to put them.</param>
    /// <param name="loop">The session's threads.</param>
    /// <returns><paramref name="gathered"/>, or the place in dy where they lie like that: those of one image.</returns>
    public static float* Of(in ConvShape s, float* dy, nint first, nint count, float* gathered, ParallelLoop loop)
    {
        if (count == s.OutputHeight && first % s.OutputHeight == 0)
            return dy + (first * s.OutputWidth * s.Outputs);
        Work work = new() { Shape = s, Dy = dy, Gathered = gathered, First = first, Count = count };
        loop.Run(&Gather, &work, s.Outputs);
        return gathered;
    }

    private static void Gather(void* state, nint m)
    {
        Work* work = (Work*)state;
        ref readonly ConvShape s = ref work->Shape;
        float* to = work->Gathered + (m * work->Count * s.OutputWidth);
        for (nint r = work->First; r < work->First + work->Count;)
        {
            nint inImage = r % s.OutputHeight;
            nint lines = nint.Min(s.OutputHeight - inImage, work->First + work->Count - r);
            nint length = lines * s.OutputWidth;
            float* from = work->Dy + (((((r / s.OutputHeight * s.Outputs) + m) * s.OutputHeight) + inImage) * s.OutputWidth);
            Buffer.MemoryCopy(from, to, length * sizeof(float), length * sizeof(float));
            to += length;
            r += lines;
        }
    }

    private struct Work
    {
        public ConvShape Shape;
        public float* Dy;
        public float* Gathered;
        public nint First;
        public nint Count;
    }
}
