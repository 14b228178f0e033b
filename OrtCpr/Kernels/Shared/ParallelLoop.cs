namespace OrtCpr.Kernels;

/// <summary>
/// A loop over chunk numbers whose iterations may run on several threads. The caller brings the threads as a function
/// pointer, so that a kernel knows no thread pool and a call allocates nothing; <c>default</c> runs on the calling thread.</summary>
internal readonly unsafe struct ParallelLoop(
    delegate*<void*, delegate*<void*, nint, void>, void*, nint, void> run,
    void* context)
{
    /// <summary>
    /// Fewer chunks than this run on the calling thread. Waking a waiting thread costs some microseconds, and a chunk of
    /// <see cref="Chunks.Length"/> elements takes 5 to 20.</summary>
    private const nint SmallestParallelCount = 3;

    private readonly delegate*<void*, delegate*<void*, nint, void>, void*, nint, void> _run = run;
    private readonly void* _context = context;

    /// <summary>Calls <paramref name="body"/>(<paramref name="state"/>, i) for every i below <paramref name="count"/>,
    /// in any order.</summary>
    public void Run(delegate*<void*, nint, void> body, void* state, nint count)
    {
        if (_run != null && count >= SmallestParallelCount)
        {
            _run(_context, body, state, count);
            return;
        }
        for (nint i = 0; i < count; i++)
            body(state, i);
    }
}
