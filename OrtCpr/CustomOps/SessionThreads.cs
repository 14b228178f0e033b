using System.Runtime.InteropServices;

namespace OrtCpr.CustomOps;

/// <summary>Runs a kernel's loop on the thread pool of the session, which ORT hands out through a kernel's context.</summary>
internal static unsafe class SessionThreads
{
    /// <summary>See <see cref="Kernels.ParallelLoop"/>; <paramref name="context"/> is the OrtKernelContext.</summary>
    public static void Run(void* context, delegate*<void*, nint, void> body, void* state, nint count)
    {
        Call call = new() { Body = body, State = state };
        OrtNative.ParallelFor((nint)context, &Iterate, count, &call);
        if (call.HasFailed)
            throw new InvalidOperationException("A thread of the session failed inside a kernel.");
    }

    [UnmanagedCallersOnly]
    private static void Iterate(void* data, nuint index)
    {
        Call* call = (Call*)data;
        try
        {
            call->Body(call->State, (nint)index);
        }
#pragma warning disable CA1031 // Any exception that left this method would end the process.
        catch (Exception)
#pragma warning restore CA1031
        {
            call->HasFailed = true;
        }
    }

    private struct Call
    {
        public delegate*<void*, nint, void> Body;
        public void* State;
        public bool HasFailed;
    }
}
