using OrtCpr.Kernels;

namespace OrtCpr.Tests.Kernels;

/// <summary>A loop on two threads, the last chunk first: nothing may depend on who does what when.</summary>
internal static unsafe class TwoThreads
{
    public static ParallelLoop Loop => new(&Run, null);

    private static void Run(void* context, delegate*<void*, nint, void> body, void* state, nint count)
    {
        long left = count;
        nint shared = (nint)state;
        void Work()
        {
            while (Interlocked.Decrement(ref left) is long chunk && chunk >= 0)
                body((void*)shared, (nint)chunk);
        }

        Thread other = new(Work);
        other.Start();
        Work();
        other.Join();
    }
}
