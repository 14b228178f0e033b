using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph.Operators;

namespace OrtCpr.CustomOps;

/// <summary>
/// The domain <c>ortcpr</c> with the kernels of chosen operators, for any number of sessions. A registered kernel hides the
/// function body of the same name. Owns the native structs, so it must be disposed after the last of those sessions;
/// it has no finalizer, because a forgotten domain may leak but must not take the kernels away from a live session.</summary>
internal sealed unsafe class CustomOpDomain : IDisposable
{
    private readonly List<nint> _operators = [];
    private nint _domain;

    /// <param name="kernels">The kernels of <see cref="KernelCatalog"/> that the sessions may use, each once.</param>
    public CustomOpDomain(IEnumerable<OperatorKernel> kernels)
    {
        OperatorKernel[] chosen = [.. kernels];
        nint name = Marshal.StringToCoTaskMemUTF8(OperatorDefinition.Domain);
        try
        {
            _domain = OrtNative.CreateDomain((byte*)name);
            foreach (OperatorKernel item in chosen)
            {
                NativeOperator* native = NativeOperator.Create(item);
                _operators.Add((nint)native);
                OrtNative.AddToDomain(_domain, (CustomOpAbi*)native);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
        finally
        {
            Marshal.FreeCoTaskMem(name);
        }
    }

    /// <summary>Makes the kernels known to sessions that are created with <paramref name="options"/>.</summary>
    public void AddTo(SessionOptions options)
    {
        ObjectDisposedException.ThrowIf(_domain == 0, this);
        OrtNative.AddDomain(options.DangerousGetHandle(), _domain);
        GC.KeepAlive(options);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_domain != 0)
            OrtNative.ReleaseDomain(_domain);
        _domain = 0;
        foreach (nint native in _operators)
            NativeOperator.Free((NativeOperator*)native);
        _operators.Clear();
    }
}
