using OrtCpr.CudaKernels;

// Writes the PTX of every kernel into a folder, OrtCpr/Cuda/Ptx as a rule, and takes out what no kernel stands behind.
if (args is not [string folder])
{
    Console.Error.WriteLine("usage: OrtCpr.CudaKernels FOLDER (of the .ptx files: OrtCpr/Cuda/Ptx)");
    return 2;
}
Directory.CreateDirectory(folder);
IReadOnlyDictionary<string, string> all = KernelCompiler.Compile();
foreach (string old in Directory.GetFiles(folder, "*.ptx").Where(f => !all.ContainsKey(Path.GetFileNameWithoutExtension(f))))
    File.Delete(old);
foreach ((string kernel, string ptx) in all)
{
    File.WriteAllText(Path.Combine(folder, $"{kernel}.ptx"), ptx);
    Console.WriteLine($"{kernel}: {ptx.Length} characters");
}
return 0;
