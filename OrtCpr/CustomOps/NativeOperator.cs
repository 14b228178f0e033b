using System.Runtime.InteropServices;

namespace OrtCpr.CustomOps;

/// <summary>
/// What ORT holds of an operator: the callbacks, and after them what the callbacks need. ORT passes the address of the
/// first member back, which is the address of the whole. Owned by <see cref="CustomOpDomain"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeOperator
{
    private CustomOpAbi _abi;
    private GCHandle<OperatorKernel> _operator;
    private byte* _name;
    private byte* _provider;

    /// <summary>A new one in native memory, for <see cref="Free"/>.</summary>
    public static NativeOperator* Create(OperatorKernel managed)
    {
        NativeOperator* native = (NativeOperator*)NativeMemory.AllocZeroed((nuint)sizeof(NativeOperator));
        native->_operator = new(managed);
        native->_name = (byte*)Marshal.StringToCoTaskMemUTF8(managed.Name);
        if (managed.Provider is string provider)
            native->_provider = (byte*)Marshal.StringToCoTaskMemUTF8(provider);
        native->_abi = new()
        {
            Version = CustomOpAbi.SupportedVersion,
            GetName = &GetName,
            GetExecutionProviderType = &GetProvider,
            GetInputType = &GetInputType,
            GetInputTypeCount = &GetInputCount,
            GetOutputType = &GetOutputType,
            GetOutputTypeCount = &GetOutputCount,
            KernelDestroy = &DestroyKernel,
            GetInputCharacteristic = &GetDefault,
            GetOutputCharacteristic = &GetDefault,
            GetInputMemoryType = &GetMemoryType,
            CreateKernelV2 = &CreateKernel,
            KernelComputeV2 = &Compute,
        };
        return native;
    }

    public static void Free(NativeOperator* native)
    {
        native->_operator.Dispose();
        Marshal.FreeCoTaskMem((nint)native->_name);
        Marshal.FreeCoTaskMem((nint)native->_provider);
        NativeMemory.Free(native);
    }

    private static OperatorKernel Managed(void* native) => ((NativeOperator*)native)->_operator.Target;

    [UnmanagedCallersOnly]
    private static byte* GetName(CustomOpAbi* self) => ((NativeOperator*)self)->_name;

    /// <summary>Null is the CPU provider.</summary>
    [UnmanagedCallersOnly]
    private static byte* GetProvider(CustomOpAbi* self) => ((NativeOperator*)self)->_provider;

    [UnmanagedCallersOnly]
    private static OperandType GetInputType(CustomOpAbi* self, nuint index) =>
        OperatorKernel.TypeOf(Managed(self).Definition.Inputs[(int)index]);

    [UnmanagedCallersOnly]
    private static nuint GetInputCount(CustomOpAbi* self) => (nuint)Managed(self).Definition.Inputs.Count;

    [UnmanagedCallersOnly]
    private static OperandType GetOutputType(CustomOpAbi* self, nuint index) =>
        OperatorKernel.TypeOf(Managed(self).Definition.Outputs[(int)index]);

    [UnmanagedCallersOnly]
    private static nuint GetOutputCount(CustomOpAbi* self) => (nuint)Managed(self).Definition.Outputs.Count;

    /// <summary>Required operands in the provider's default memory.</summary>
    [UnmanagedCallersOnly]
    private static int GetDefault(CustomOpAbi* self, nuint index) => 0;

    /// <summary>OrtMemTypeCPUInput, or OrtMemTypeDefault.</summary>
    [UnmanagedCallersOnly]
    private static int GetMemoryType(CustomOpAbi* self, nuint index) =>
        Managed(self).IsOnHost(Managed(self).Definition.Inputs[(int)index]) ? -2 : 0;

    /// <summary>The kernel of one node.</summary>
    private struct NativeKernel
    {
        public NativeOperator* Operator;
        public nint State;
    }

    [UnmanagedCallersOnly]
    private static nint CreateKernel(CustomOpAbi* self, nint api, nint info, nint* kernel)
    {
        try
        {
            nint state = Managed(self).CreateState(info);
            NativeKernel* made = (NativeKernel*)NativeMemory.Alloc((nuint)sizeof(NativeKernel));
            made->Operator = (NativeOperator*)self;
            made->State = state;
            *kernel = (nint)made;
            return 0;
        }
#pragma warning disable CA1031 // An exception that left a callback of ONNX Runtime would end the process.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OrtNative.CreateStatus(OrtErrorCode.Fail, $"{exception.GetType().Name}: {exception.Message}");
        }
    }

    [UnmanagedCallersOnly]
    private static void DestroyKernel(nint kernel)
    {
        NativeKernel* gone = (NativeKernel*)kernel;
        if (gone->State != 0)
            Managed(gone->Operator).DestroyState(gone->State);
        NativeMemory.Free(gone);
    }

    /// <summary>The border that no exception may pass: ORT's threads would end the process.</summary>
    /// <returns>Null, or a status that ORT turns into the exception of the run.</returns>
    [UnmanagedCallersOnly]
    private static nint Compute(nint kernel, nint context)
    {
        try
        {
            NativeKernel* own = (NativeKernel*)kernel;
            OperatorKernel running = Managed(own->Operator);
            running.Compute(new(running, context, own->State));
            return 0;
        }
        catch (OperandException exception)
        {
            return OrtNative.CreateStatus(OrtErrorCode.InvalidArgument, exception.Message);
        }
#pragma warning disable CA1031 // An exception that left a callback of ONNX Runtime would end the process.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OrtNative.CreateStatus(OrtErrorCode.Fail, $"{exception.GetType().Name}: {exception.Message}");
        }
    }
}
