using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Microsoft.ML.OnnxRuntime;

namespace OrtCpr.Benchmarks.Harness;

/// <summary>The machine in one line, without its name.</summary>
internal static class Machine
{
    public static string Describe(int threads) => string.Create(CultureInfo.InvariantCulture,
        $"{Processor()}, {Environment.ProcessorCount} logical processors, {Instructions()} (Vector<float> of {Vector<float>.Count}), "
        + $"{Memory():F0} GiB memory, {RuntimeInformation.OSDescription}, .NET {Environment.Version}, ONNX Runtime "
        + $"{OrtEnv.Instance().GetVersionString()}, TorchSharp {PeerVersion}, {threads} threads.");

    /// <summary>The assembly alone; its native part is not loaded for this.</summary>
    private static string PeerVersion => typeof(TorchSharp.torch).Assembly.GetName().Version?.ToString(3) ?? "of unknown version";

    public static bool HasAvx512 => Avx512F.IsSupported;

    /// <summary>Running processes a processor in the last minute, without those of this program when taken at its
    /// start; null where it is not known.</summary>
    public static double? Load()
    {
        const string File = "/proc/loadavg";
        return System.IO.File.Exists(File)
            && double.TryParse(System.IO.File.ReadAllText(File).Split(' ')[0], CultureInfo.InvariantCulture, out double running)
            ? running / Environment.ProcessorCount
            : null;
    }

    private static string Processor()
    {
        const string Key = "model name";
        if (!File.Exists("/proc/cpuinfo"))
            return RuntimeInformation.ProcessArchitecture.ToString();
        string? line = File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith(Key, StringComparison.Ordinal));
        return line is null ? RuntimeInformation.ProcessArchitecture.ToString()
            : line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
    }

    private static string Instructions() =>
        HasAvx512 ? "AVX-512" : Avx2.IsSupported ? "AVX2" : Sse2.IsSupported ? "SSE2" : Vector.IsHardwareAccelerated ? "SIMD" : "no SIMD";

    private static double Memory() => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1L << 30);
}
