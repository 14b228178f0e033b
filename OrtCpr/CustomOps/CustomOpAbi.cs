using System.Runtime.InteropServices;

namespace OrtCpr.CustomOps;

/// <summary>Element types that our operators use, with ONNX's numbers (ONNXTensorElementDataType).</summary>
internal enum OperandType
{
    Float = 1,
    Int64 = 7,
    Bool = 9,
}

/// <summary>OrtErrorCode, the two that a kernel returns.</summary>
internal enum OrtErrorCode
{
    Fail = 1,
    InvalidArgument = 2,
}

/// <summary>
/// <c>struct OrtCustomOp</c> of onnxruntime_c_api.h up to what its version 16 has. ORT reads no field of a later version when
/// <see cref="Version"/> says 16, so the struct may end here; entries that stay null belong to variadic operators or to the
/// callbacks that <see cref="CreateKernelV2"/> and <see cref="KernelComputeV2"/> replace.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CustomOpAbi
{
    /// <summary>The first version whose kernels can report an error.</summary>
    public const uint SupportedVersion = 16;

    public uint Version;
    public nint CreateKernel;
    public delegate* unmanaged<CustomOpAbi*, byte*> GetName;
    public delegate* unmanaged<CustomOpAbi*, byte*> GetExecutionProviderType;
    public delegate* unmanaged<CustomOpAbi*, nuint, OperandType> GetInputType;
    public delegate* unmanaged<CustomOpAbi*, nuint> GetInputTypeCount;
    public delegate* unmanaged<CustomOpAbi*, nuint, OperandType> GetOutputType;
    public delegate* unmanaged<CustomOpAbi*, nuint> GetOutputTypeCount;
    public nint KernelCompute;
    public delegate* unmanaged<nint, void> KernelDestroy;
    public delegate* unmanaged<CustomOpAbi*, nuint, int> GetInputCharacteristic;
    public delegate* unmanaged<CustomOpAbi*, nuint, int> GetOutputCharacteristic;
    public delegate* unmanaged<CustomOpAbi*, nuint, int> GetInputMemoryType;
    public nint GetVariadicInputMinArity;
    public nint GetVariadicInputHomogeneity;
    public nint GetVariadicOutputMinArity;
    public nint GetVariadicOutputHomogeneity;
    public delegate* unmanaged<CustomOpAbi*, nint, nint, nint*, nint> CreateKernelV2;
    public delegate* unmanaged<nint, nint, nint> KernelComputeV2;
}
