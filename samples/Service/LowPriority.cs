using System.Runtime.InteropServices;

namespace Service;

// The calling thread behind all others that want the processor.
internal static partial class LowPriority
{
    private const int OfProcess = 0, Caller = 0, Lowest = 19;

    public static void Take()
    {
        Thread.CurrentThread.Priority = ThreadPriority.Lowest;
        // On Linux .NET leaves priorities alone. The kernel's are of threads there, and nobody needs rights to lower one.
        if (OperatingSystem.IsLinux() && SetPriority(OfProcess, Caller, Lowest) != 0)
            throw new InvalidOperationException($"setpriority failed with {Marshal.GetLastPInvokeError()}.");
    }

    [LibraryImport("libc", EntryPoint = "setpriority", SetLastError = true)]
    private static partial int SetPriority(int which, int who, int priority);
}
