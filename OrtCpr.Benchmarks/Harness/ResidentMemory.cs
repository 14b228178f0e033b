using System.Diagnostics;
using System.Globalization;

namespace OrtCpr.Benchmarks.Harness;

/// <summary>The largest resident set of this process so far.</summary>
internal static class ResidentMemory
{
    private const string Status = "/proc/self/status";
    private const string Key = "VmHWM:";

    /// <summary>Linux: writing 5 sets the peak to what is resident now.</summary>
    private const string Reset = "/proc/self/clear_refs";
    private const string ResetPeak = "5";

    /// <summary>Bytes.</summary>
    public static double Peak()
    {
        string? line = File.Exists(Status) ? File.ReadLines(Status).FirstOrDefault(l => l.StartsWith(Key, StringComparison.Ordinal)) : null;
        if (line is not null)
            return double.Parse(line[Key.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) * 1024;
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    /// <summary>Forgets the peak, and what only the garbage collector still holds.</summary>
    /// <returns>False where the system cannot forget it.</returns>
    public static bool Forget()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        try
        {
            File.WriteAllText(Reset, ResetPeak);
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
