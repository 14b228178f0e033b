using System.Reflection;

// Packages <assembly> <model.onnx>: writes the model among an assembly's resources to a file.
Assembly assembly = Assembly.LoadFrom(Path.GetFullPath(args[0]));
string name = assembly.GetManifestResourceNames().Single(n => n.EndsWith(".onnx", StringComparison.Ordinal));
using Stream source = assembly.GetManifestResourceStream(name)!;
using FileStream target = File.Create(args[1]);
source.CopyTo(target);
