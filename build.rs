//! Compiles proto/ (no protoc needed): messages, gRPC services, their JSON form, and the descriptors that the REST
//! routes and the OpenAPI document are made of.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/modelhub");
    println!("cargo:rerun-if-changed=proto/google");
    // Taken in by api::admin::ui: there, so that a change of what is in it is seen.
    std::fs::create_dir_all("admin-ui/dist")?;
    println!("cargo:rerun-if-changed=admin-ui/dist");
    let files = ["hub_service", "worker_service"].map(|name| format!("modelhub/v1/{name}.proto"));
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(files)?;

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // Not `file_descriptor_set()`: that drops the HTTP rules, which are extensions.
    let descriptors = compiler.encode_file_descriptor_set();
    #[expect(clippy::disallowed_methods, reason = "a build script writes to its own directory")]
    std::fs::write(out.join("descriptors.bin"), &descriptors)?;

    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(compiler.file_descriptor_set())?;
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors)?
        .preserve_proto_field_names()
        .emit_fields()
        .build(&[".modelhub.v1"])?;
    Ok(())
}
