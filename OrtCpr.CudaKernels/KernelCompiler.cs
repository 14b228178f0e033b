using System.Reflection;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime.Cuda;

namespace OrtCpr.CudaKernels;

/// <summary>Makes PTX of the kernel methods. Needs no GPU.</summary>
internal static class KernelCompiler
{
    /// <summary>The methods that are kernels: public, of a class whose name ends with Kernels, with one struct of operands.</summary>
    public static IReadOnlyList<MethodInfo> Kernels { get; } = [.. typeof(KernelCompiler).Assembly.GetTypes()
        .Where(t => t.Name.EndsWith("Kernels", StringComparison.Ordinal))
        .SelectMany(t => t.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly))
        .OrderBy(m => m.Name, StringComparer.Ordinal)];

    /// <summary>Kernel → its PTX, for compute capability 7.5 (Turing), from which drivers compile for every later GPU.</summary>
    public static IReadOnlyDictionary<string, string> Compile()
    {
        using Context context = Context.Create(b => b.Default().Optimize(OptimizationLevel.O2));
        using var backend = new PTXBackend(context, CudaArchitecture.SM_75, CudaInstructionSet.ISA_70, null!);
        var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (MethodInfo kernel in Kernels)
        {
            var compiled = (PTXCompiledKernel)backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(kernel), default);
            all.Add(kernel.Name, PtxText.Settled(compiled.PTXAssembly));
        }
        return all;
    }
}
