using System.Reflection;
using OrtCpr.CustomOps;

namespace OrtCpr.Cuda;

/// <summary>Kernels on an NVIDIA GPU, on the stream and in the context of ONNX Runtime's CUDA provider. Owns the loaded
/// code; must outlive the sessions whose nodes use it.</summary>
internal sealed unsafe class CudaLauncher : KernelLauncher, IDisposable
{
    private readonly CudaDriver _driver = CudaDriver.Instance;
    private readonly int _device;
    private readonly nint _context;
    private readonly Lock _loading = new();
    private readonly Dictionary<string, nint> _kernels = new(StringComparer.Ordinal);
    private readonly List<nint> _libraries = [];
    private readonly bool _ownsStream;
    private bool _isLoaded, _disposed;

    /// <param name="device">Number of the GPU.</param>
    /// <param name="stream">The caller's stream, which must outlive this object; 0 to make one.</param>
    /// <exception cref="DeviceException">No driver, one that is too old, or no such GPU.</exception>
    public CudaLauncher(int device, nint stream)
    {
        _device = device;
        _context = _driver.RetainContext(device);
        _driver.SetContext(_context);
        _ownsStream = stream == 0;
        Stream = _ownsStream ? _driver.CreateStream() : stream;
    }

    /// <summary>On which all sessions of the device run and all copies go, in the order in which they are started.</summary>
    public nint Stream { get; }

    /// <inheritdoc/>
    public override string Provider => "CUDAExecutionProvider";

    /// <inheritdoc/>
    public override int BlockSize => MostThreads;

    /// <summary>Names of the kernels that the library carries.</summary>
    public static IReadOnlyList<string> Known { get; } = [.. typeof(CudaLauncher).Assembly.GetManifestResourceNames()
        .Where(n => n.EndsWith(".ptx", StringComparison.Ordinal)).Select(n => n[..^4]).Order(StringComparer.Ordinal)];

    /// <inheritdoc/>
    public override void Launch<T>(string kernel, nint blocks, in T operands, nint context)
    {
        if (blocks == 0)
            return;
        nint stream = OrtNative.GetComputeStream(context);
        _driver.SetContext(_context);
        fixed (T* parameter = &operands)
            _driver.Launch(Find(kernel), checked((uint)blocks), (uint)BlockSize, stream, parameter, kernel);
    }

    /// <inheritdoc/>
    public override nint Allocate(nint bytes)
    {
        _driver.SetContext(_context);
        return _driver.Allocate(bytes);
    }

    /// <inheritdoc/>
    public override void Free(nint address)
    {
        _driver.SetContext(_context);
        _driver.Free(address);
    }

    /// <summary>Copies between any two memories, host or device, on the stream.</summary>
    /// <param name="from">Where the elements are.</param>
    /// <param name="to">Where they go.</param>
    /// <param name="bytes">How many.</param>
    /// <param name="waits">Whether to return when the copy is done: it is read, or its source is given up, on the host.</param>
    public void Copy(nint from, nint to, nint bytes, bool waits)
    {
        if (bytes == 0)
            return;
        _driver.SetContext(_context);
        _driver.Copy(from, to, bytes, Stream);
        if (waits)
            _driver.Wait(Stream);
    }

    /// <summary>Fills memory of the device with zeros.</summary>
    public void Clear(nint address, nint bytes)
    {
        if (bytes == 0)
            return;
        _driver.SetContext(_context);
        _driver.Clear(address, bytes, Stream);
    }

    /// <summary>Waits until everything is done that was started on the stream.</summary>
    public void Wait()
    {
        _driver.SetContext(_context);
        _driver.Wait(Stream);
    }

    /// <summary>Mebibytes that are free on the device, and all.</summary>
    public (ulong Free, ulong Total) Memory()
    {
        _driver.SetContext(_context);
        (ulong free, ulong total) = _driver.Memory();
        return (free >> 20, total >> 20);
    }

    /// <summary>Compiles all kernels, so that none is compiled in a step, and a GPU that cannot run them is refused at once.</summary>
    public void Load()
    {
        if (_isLoaded)
            return;
        _driver.SetContext(_context);
        foreach (string kernel in Known)
            Find(kernel);
        _isLoaded = true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        if (_ownsStream)
            _driver.DestroyStream(Stream);
        foreach (nint library in _libraries)
            _driver.UnloadLibrary(library);
        _driver.ReleaseContext(_device);
    }

    private nint Find(string kernel)
    {
        lock (_loading)
        {
            if (_kernels.TryGetValue(kernel, out nint found))
                return found;
            fixed (byte* ptx = PtxOf(kernel))
            {
                nint library = _driver.LoadLibrary(ptx, kernel);
                _libraries.Add(library);
                return _kernels[kernel] = _driver.GetKernel(library, $"Kernel_{kernel}");
            }
        }
    }

    /// <summary>Text that ends with a zero, as the driver wants it.</summary>
    internal static byte[] PtxOf(string kernel)
    {
        using Stream text = Assembly.GetExecutingAssembly().GetManifestResourceStream($"{kernel}.ptx")
            ?? throw new InvalidOperationException($"The library carries no kernel '{kernel}'.");
        byte[] bytes = new byte[text.Length + 1];
        text.ReadExactly(bytes, 0, bytes.Length - 1);
        return bytes;
    }
}
