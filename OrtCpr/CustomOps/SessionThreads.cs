using System.Runtime.InteropServices;

namespace OrtCpr.CustomOps;

/// <summary>Runs a kernel's loop on the thread pool of the session, which ORT hands out through a kernel's context.</summary>
internal static unsafe class SessionThreads
{
    /// <summary>See <see cref="Kernels.ParallelLoop"/>; <paramref name="context"/> is the OrtKernelContext.</summary>
    /// <exception cref="InvalidOperationException">A chunk failed; says how the first of them did.</exception>
    public static void Run(void* context, delegate*<void*, nint, void> body, void* state, nint count)
    {
        Call call = new() { Body = body, State = state };
        OrtNative.ParallelFor((nint)context, &Iterate, count, &call);
        call.ThrowIfFailed();
    }

    [UnmanagedCallersOnly]
    private static void Iterate(void* data, nuint index) => ((Call*)data)->Do((nint)index);

    /// <summary>A loop in work. It lies in memory that the runtime's threads see by its address, so it holds no
    /// reference but a handle.</summary>
    internal struct Call
    {
        /// <summary>What is done for each chunk.</summary>
        public delegate*<void*, nint, void> Body;

        /// <summary>What the body is given.</summary>
        public void* State;

        private nint _failure;

        /// <summary>Does one chunk; keeps the first exception, since one that left a callback of the runtime would end
        /// the process.</summary>
        public void Do(nint index)
        {
            try
            {
                Body(State, index);
            }
#pragma warning disable CA1031 // An exception that left a callback of ONNX Runtime would end the process.
            catch (Exception error)
#pragma warning restore CA1031
            {
                nint mine = GCHandle.ToIntPtr(GCHandle.Alloc(error));
                if (Interlocked.CompareExchange(ref _failure, mine, 0) != 0) GCHandle.FromIntPtr(mine).Free();
            }
        }

        /// <summary>Raises the first failure of the loop, which is over.</summary>
        public void ThrowIfFailed()
        {
            if (_failure == 0) return;
            var handle = GCHandle.FromIntPtr(_failure);
            var error = (Exception)handle.Target!;
            handle.Free();
            _failure = 0;
            throw new InvalidOperationException(
                $"A thread of the session failed inside a kernel: {error.GetType().Name}: {error.Message}", error);
        }
    }
}
