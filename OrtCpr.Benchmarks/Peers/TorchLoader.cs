using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>Makes TorchSharp load, also where the C++ library is one version older than TorchSharp asks for (Debian 12).</summary>
/// <remarks>TorchSharp's native part wants GLIBCXX_3.4.32, of which it uses one function: it makes sure that the
/// standard streams exist, which older libraries do by themselves. So there, in the output folder, that demand is made
/// weak and an empty function of that name is put in front. Where the library has the function, nothing of this
/// happens.</remarks>
internal static partial class TorchLoader
{
    private const string MissingVersion = "GLIBCXX_3.4.32";
    private const string MissingFunction = "_ZSt21ios_base_library_initv";
    private const string MissingFunctionSource = $"extern \"C\" void {MissingFunction}() {{}}";

    private const int BindLazily = 1;
    private const int VisibleToAll = 0x100;

    private static readonly Lazy<string?> Problem = new(Prepare);

    /// <summary>Loads TorchSharp (once) and sets its threads.</summary>
    /// <returns>Null when it is ready; otherwise what is missing, for people.</returns>
    public static string? TryStart(int threads)
    {
        if (Problem.Value is string problem)
            return problem;
        try
        {
            Start(threads);
            return null;
        }
        catch (Exception error)
            when (error is TypeInitializationException or DllNotFoundException or BadImageFormatException or EntryPointNotFoundException
                or NotSupportedException)
        {
            return $"TorchSharp does not load: {(error.InnerException ?? error).Message}";
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Start(int threads)
    {
        torch.InitializeDeviceType(DeviceType.CPU);
        torch.set_num_threads(threads);
        torch.random.manual_seed(1);
    }

    private static string? Prepare()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
            return "the native libtorch that this project refers to is for Linux on x64 only";
        string[] places = [Path.Combine("runtimes", "linux-x64", "native"), ""];
        string? library = places.Select(p => Path.Combine(AppContext.BaseDirectory, p, "libLibTorchSharp.so")).FirstOrDefault(File.Exists);
        if (library is null)
            return "libLibTorchSharp.so is not in the output folder; restore the package TorchSharp";
        if (NativeLibrary.TryLoad("libstdc++.so.6", out nint standard) && NativeLibrary.TryGetExport(standard, MissingFunction, out _))
            return null;
        if (SupplyFunction() is string problem)
        {
            return $"the C++ library of this machine has no {MissingVersion} (GCC 13.2), which TorchSharp asks for, and the way around it "
                + $"failed: {problem}";
        }
        WeakenDemand(library);
        return null;
    }

    private static void WeakenDemand(string library)
    {
        byte[] bytes = File.ReadAllBytes(library);
        if (SymbolVersions.Weaken(bytes, MissingVersion) == 0)
            return;
        // A new file under the old name: the package cache may share the old one by a hard link.
        string changed = $"{library}.{Environment.ProcessId}";
        File.WriteAllBytes(changed, bytes);
        File.Move(changed, library, overwrite: true);
    }

    private static string? SupplyFunction()
    {
        string shim = Path.Combine(AppContext.BaseDirectory, "libortcpr-stream-init.so");
        if (!File.Exists(shim) && Compile(shim) is string problem)
            return problem;
        return DynamicLoad(shim, BindLazily | VisibleToAll) == 0 ? $"'{Path.GetFileName(shim)}' in the output folder does not load" : null;
    }

    private static string? Compile(string shim)
    {
        string unfinished = $"{shim}.{Environment.ProcessId}";
        ProcessStartInfo start = new("g++")
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
            ArgumentList =
                { "-shared", "-fPIC", "-x", "c++", "-", "-o", unfinished }
        };
        try
        {
            using Process compiler = Process.Start(start)!;
            compiler.StandardInput.WriteLine(MissingFunctionSource);
            compiler.StandardInput.Close();
            string messages = compiler.StandardError.ReadToEnd();
            compiler.WaitForExit();
            if (compiler.ExitCode != 0)
                return $"g++ ended with {compiler.ExitCode}: {messages.Trim()}";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "there is no g++ to compile one function (install g++, or a libstdc++ of GCC 13.2 or newer)";
        }
        File.Move(unfinished, shim, overwrite: true);
        return null;
    }

    [LibraryImport("libc.so.6", EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint DynamicLoad(string path, int flags);
}
