using System.Runtime.InteropServices;

namespace OrtCpr.Benchmarks.Harness;

/// <summary>The C library's allocator.</summary>
internal static partial class Allocator
{
    private const string Library = "libc.so.6";

    /// <summary>Parameters of mallopt in glibc.</summary>
    private const int TrimThreshold = -1;
    private const int MappedBlocks = -4;

    /// <summary>Tells it to keep freed memory instead of giving it back to the system.</summary>
    /// <returns>False where it cannot be told.</returns>
    /// <remarks>libtorch allocates every result anew. glibc maps blocks of 32 MiB and more each time, and their pages
    /// come by one fault each, which on a virtual machine can take longer than the arithmetic. Who trains with libtorch
    /// sets that by environment variables, or takes another allocator; ONNX Runtime keeps its memory by
    /// itself.</remarks>
    public static bool KeepFreed() =>
        OperatingSystem.IsLinux() && NativeLibrary.TryLoad(Library, out nint library)
        && NativeLibrary.TryGetExport(library, "mallopt", out _)
        && Set(MappedBlocks, 0) != 0 && Set(TrimThreshold, int.MaxValue) != 0;

    [LibraryImport(Library, EntryPoint = "mallopt")]
    private static partial int Set(int parameter, int value);
}
