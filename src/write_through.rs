//! Streams that pass on what is written to the one inside.
//!
//! To write, there is one way for all. Most look at what is read; those that do not pass that on, too.

/// Implements `AsyncWrite` for a type that holds another stream, or one of several: each pattern of
/// a value, and what of it is written to. What stands in the first brackets are parameters of the type.
macro_rules! write_through {
    ([$($parameters:tt)*] $type:ty { $($pattern:pat => $inner:expr),+ $(,)? }) => {
        impl<$($parameters)*> ::tokio::io::AsyncWrite for $type {
            fn poll_write(
                self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
                bytes: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                match self.get_mut() {
                    $($pattern => ::std::pin::Pin::new($inner).poll_write(context, bytes),)+
                }
            }

            fn poll_write_vectored(
                self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
                bytes: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                match self.get_mut() {
                    $($pattern => ::std::pin::Pin::new($inner).poll_write_vectored(context, bytes),)+
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    $($pattern => $inner.is_write_vectored(),)+
                }
            }

            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                match self.get_mut() {
                    $($pattern => ::std::pin::Pin::new($inner).poll_flush(context),)+
                }
            }

            fn poll_shutdown(
                self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                match self.get_mut() {
                    $($pattern => ::std::pin::Pin::new($inner).poll_shutdown(context),)+
                }
            }
        }
    };
}

/// The same for a type that does nothing with what is read, either: implements `AsyncRead`, too.
macro_rules! pass_through {
    ([$($parameters:tt)*] $type:ty { $($pattern:pat => $inner:expr),+ $(,)? }) => {
        impl<$($parameters)*> ::tokio::io::AsyncRead for $type {
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
                buffer: &mut ::tokio::io::ReadBuf<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                match self.get_mut() {
                    $($pattern => ::std::pin::Pin::new($inner).poll_read(context, buffer),)+
                }
            }
        }

        $crate::write_through::write_through!([$($parameters)*] $type { $($pattern => $inner),+ });
    };
}

pub(crate) use {pass_through, write_through};
